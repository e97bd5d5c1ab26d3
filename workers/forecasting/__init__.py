"""The load to come, per region, from the calendar and from what was seen."""
