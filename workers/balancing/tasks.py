"""Balancing, as Celery runs it."""

from workers.app import app
from workers.balancing import actions, client
from workers.foundation import clock


@app.task(name="balancing.place")
def place(**_later: object) -> None:
    """Decide which node each wedding's people go to, long before they come."""
    actions.place(now=clock.now())


@app.task(name="balancing.scrape")
def scrape(**_later: object) -> None:
    """Ask stock Supabase nodes how many are connected, where SUPABASE_URLS names any."""
    policy = client.policy()
    scraped = client.scrape(policy)
    actions.take_scraped(scraped, policy.capacity, now=clock.now(), machine=clock.machine_now())


@app.task(name="balancing.probe")
def probe(**_later: object) -> None:
    """Make a real round trip through each node that takes people, and measure it."""
    if actions.policy().probe:
        actions.probe(now=clock.machine_now())


@app.task(name="balancing.watch_nodes")
def watch_nodes(**_later: object) -> None:
    """Take out the nodes that fell silent, and move their weddings."""
    actions.watch_nodes(now=clock.now())
