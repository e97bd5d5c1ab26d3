"""What people see, as far as it is written down for them."""

from workers.app import app
from workers.foundation import clock, database
from workers.operations import reviews


@app.task(name="operations.review")
def review(**_later: object) -> None:
    """Look back on each Saturday, holiday and day of many weddings, two days after."""
    with database.transaction() as db:
        reviews.write(db, now=clock.now())
