"""Balancing, as Celery runs it."""

from workers.app import app
from workers.balancing import actions


@app.task(name="balancing.place")
def place(**_later: object) -> None:
    """Decide which node each wedding's people go to, long before they come."""
    actions.place()


@app.task(name="balancing.watch_nodes")
def watch_nodes(**_later: object) -> None:
    """Take out the nodes that fell silent, and move their weddings."""
    actions.watch_nodes()
