"""The Redis keys of weddings, on the server of the registry."""

#: Sorted set: wedding -> when it is to be looked at, in ms. Written by the calendar; read by beat.
DUE = "wedops:weddings:due"
#: Hash: wedding -> `start/end`. Written by the calendar; read by beat.
SPANS = "wedops:weddings:spans"
