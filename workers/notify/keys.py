"""The Redis key of notifications, on the server of the registry."""

#: `KEY`: string, there for a day once a channel took the message: what the database does not remember yet is
#: not sent again.
ACCEPTED = "wedops:notified:"
