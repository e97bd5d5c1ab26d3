"""The calendar: weddings, their phases, and the ways they come in."""
