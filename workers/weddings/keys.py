"""The Redis keys of weddings, on the server of the registry."""

#: Sorted set: wedding -> when it is to be looked at next, in ms. Written by the calendar and wedding_day;
#: read by wedding_day.look.
DUE = "wedops:weddings:due"
#: What the version before kept beside; `wedops migrate` drops it.
FORMER = "wedops:weddings:spans"
