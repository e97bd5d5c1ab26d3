"""`wedops contacts`: where people are reached. Addresses go in and never come out."""

import sys

import click

from workers.cli.parameters import Words
from workers.foundation import clock
from workers.notify import adapters, usecases
from workers.notify.rules import OPERATIONS, Target
from workers.weddings.usecases import reading as weddings

WEDDING = click.option(
    "--wedding", "wedding_id", default="", help="For this wedding alone (its emergency contacts)."
)


@click.group("contacts")
def command() -> None:
    """See who can be notified, and by which channel."""


@command.command("list")
def listing() -> None:
    """List who is reached by which channel; addresses are secrets and are not shown."""
    for to in usecases.registered():
        click.echo(f"{to.recipient}  {to.channel}  {to.wedding_id}".rstrip())


@command.command("add")
@click.argument("recipient", type=Words())
@click.argument("channel", type=Words())
@WEDDING
@click.option(
    "--url",
    prompt="address (apprise URL)",
    hide_input=True,
    help="Asked for when not given: arguments can be seen.",
)
def add(recipient: str, channel: str, wedding_id: str, url: str) -> None:
    """Say where somebody is reached by a channel. For a wedding, RECIPIENT is `contacts`."""
    if ":" in recipient:
        alone = recipient.rpartition(":")[2]
        raise click.BadParameter(f"write the id alone: {alone}", param_hint="RECIPIENT")
    if channel.startswith(adapters.TARGET):
        raise click.BadParameter(
            f"{adapters.TARGET}N are the channels of NOTIFY_TARGETS", param_hint="CHANNEL"
        )
    if wedding_id:
        weddings.find(wedding_id)
    usecases.register(Target(recipient, wedding_id, channel), url)
    click.echo(f"{recipient} is reached by {channel}")


@command.command("remove")
@click.argument("recipient")
@click.argument("channel")
@WEDDING
def remove(recipient: str, channel: str, wedding_id: str) -> None:
    """Forget an address."""
    known = usecases.unregister(Target(recipient, wedding_id, channel))
    click.echo("forgotten" if known else "there was none")


@command.command("test")
@click.argument("recipient", default=OPERATIONS)
@WEDDING
def test(recipient: str, wedding_id: str) -> None:
    """Send somebody a test by each of their channels."""
    results = usecases.send_test(recipient, wedding_id, key=f"test/{clock.epoch():.6f}")
    for to, arrived in results.items():
        click.echo(f"{to.recipient} by {to.channel}: {'arrived' if arrived else 'did not arrive'}")
    sys.exit(not all(results.values()))
