"""The Redis key of the API, on the server of the registry."""

#: String that the checks of health write: a server that takes nothing is not well.
HEALTH = "wedops:health"
