"""`wedops contacts`: where people are reached. Addresses go in and never come out."""

import sys

import click

from workers.cli.parameters import Words
from workers.foundation import clock, database
from workers.notify import adapters, store, usecases
from workers.notify.rules import OPERATIONS, Notification
from workers.weddings.store import weddings

WEDDING = click.option("--wedding", "wedding_id", default="", help="For this wedding alone (its emergency contacts).")


@click.group("contacts")
def command() -> None:
    """See who can be told, and by which channel."""


@command.command("list")
def listing() -> None:
    """List who is reached by which channel; addresses are secrets and are not shown."""
    with database.transaction() as db:
        found = store.registered(db)
    for who, wedding_id, channel in [*found, *((OPERATIONS, "", name) for name in adapters.targets())]:
        click.echo(f"{who}  {channel}  {wedding_id}".rstrip())


@command.command("add")
@click.argument("who", type=Words())
@click.argument("channel", type=Words())
@WEDDING
@click.option("--url", prompt="address (apprise URL)", hide_input=True, help="Asked for when not given: arguments can be seen.")
def add(who: str, channel: str, wedding_id: str, url: str) -> None:
    """Say where somebody is reached by a channel. For a wedding, WHO is `contacts`."""
    if channel.startswith(adapters.TARGET):
        raise click.BadParameter(f"{adapters.TARGET}N are the channels of NOTIFY_TARGETS", param_hint="CHANNEL")
    adapters.check(url)
    with database.transaction() as db:
        if wedding_id:
            weddings.require(db, wedding_id)
        store.register(db, who=who, channel=channel, url=url, wedding_id=wedding_id)
    click.echo(f"{who} is reached by {channel}")


@command.command("remove")
@click.argument("who")
@click.argument("channel")
@WEDDING
def remove(who: str, channel: str, wedding_id: str) -> None:
    """Forget an address."""
    with database.transaction() as db:
        known = store.unregister(db, who=who, channel=channel, wedding_id=wedding_id)
    click.echo("forgotten" if known else "there was none")


@command.command("test")
@click.argument("who", default=OPERATIONS)
@WEDDING
def test(who: str, wedding_id: str) -> None:
    """Send somebody a test by each of their channels."""
    now = clock.now()
    message = Notification(f"test/{clock.epoch():.6f}", "a test from wedops", "Nothing is wrong.", "info")
    failed = False
    with database.transaction() as db:
        if who != OPERATIONS and not store.channels(db, who, wedding_id):
            raise click.BadParameter(f"{who!r} has no address; `wedops contacts add` gives one", param_hint="WHO")
        usecases.tell(db, message, who=who, wedding_id=wedding_id, at=now)
        for waiting in store.unsent(db, message.key):
            arrived = usecases.send(db, waiting)
            store.tried(db, waiting.key, arrived=arrived, at=clock.machine_now())
            store.withdraw(db, [waiting.key])
            click.echo(f"{waiting.who} by {waiting.channel}: {'arrived' if arrived else 'did not arrive'}")
            failed |= not arrived
    sys.exit(failed)
