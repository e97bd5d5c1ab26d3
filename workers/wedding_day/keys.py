"""The Redis key of the wedding day, on the server of the registry."""

#: Hash: wedding -> what the last look found. Written and read by wedding_day.look.
SEEN = "wedops:weddings:seen"
