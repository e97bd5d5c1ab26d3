"""The Redis keys of the wedding day, on the server of the registry."""

#: Hash: wedding -> what the last look found. Written and read by wedding_day.look.
SEEN = "wedops:weddings:seen"
#: Hash: wedding -> how its day was going when a row of critical_path_metrics was written last, and when.
#: Written and read by wedding_day.watch.
WRITTEN = "wedops:weddings:course"
