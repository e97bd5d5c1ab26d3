"""Balancing, as Celery runs it."""

from workers.app import app
from workers.balancing import usecases
from workers.balancing.adapters import supabase
from workers.foundation import clock


@app.task(name="balancing.place")
def place(**_later: object) -> None:
    """Decide which node each wedding's people go to, long before they come."""
    usecases.place(now=clock.now())


@app.task(name="balancing.scrape")
def scrape(**_later: object) -> None:
    """Ask stock Supabase nodes how many are connected, where SUPABASE_URLS names any."""
    policy = supabase.policy()
    scraped = supabase.scrape(policy)
    usecases.take_scraped(scraped, policy.capacity, now=clock.now(), machine=clock.machine_now())


@app.task(name="balancing.probe")
def probe(**_later: object) -> None:
    """Make a real round trip through each node that takes people, and measure it."""
    if usecases.policy().probe:
        usecases.probe(now=clock.machine_now())


@app.task(name="balancing.watch_nodes")
def watch_nodes(**_later: object) -> None:
    """Take out the nodes that fell silent, and move their weddings."""
    usecases.watch_nodes(now=clock.now())
