"""`wedops secrets`."""

from pathlib import Path

import click

from workers.processes import secret_files


@click.command("secrets")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default="secrets")
def command(folder: Path) -> None:
    """Make the secrets that docker-compose.yml mounts, a file each, in FOLDER. What is there stays as it is.

    To make one anew, delete its file, and those of who logs in with it.
    """
    written = secret_files.write(folder)
    if others := secret_files.outdated(folder):
        named = " ".join(others)
        click.echo(f"another address or user than is made now: {named}; delete what is not yours, and repeat")
    click.echo(f"{len(written)} written to {folder}; keep it out of backups that others read")
