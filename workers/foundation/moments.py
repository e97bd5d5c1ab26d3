"""The two times as types, which mypy keeps apart. They have no code, so that pure rules may name them too."""

from datetime import datetime
from typing import NewType

#: A moment of the world's time, which weddings live in: aware, in UTC. A demo may start it anywhere and let
#: it run fast.
Moment = NewType("Moment", datetime)
#: A moment of the machine's time, which leases, job records and measurements live in: aware, in UTC.
MachineMoment = NewType("MachineMoment", datetime)
