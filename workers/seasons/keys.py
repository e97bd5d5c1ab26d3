"""The Redis key of seasons, on the server of the registry."""

#: Hash: the kind of day, why, and until when an operator paces it. Written by seasons; read by beat and
#: `wedops status`.
KIND_OF_DAY = "wedops:day"
