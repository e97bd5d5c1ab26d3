"""Which weddings somebody asks for. Pure."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Asked:
    """Which weddings are listed: of [start, end), and of a region, a supplier or a status if named."""

    start: datetime
    end: datetime
    region: str = ""
    supplier_id: str = ""
    status: str = ""
