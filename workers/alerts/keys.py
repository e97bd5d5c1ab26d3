"""The Redis key of alerts. It is on the server of the registry."""

#: String: the id of the last change that was broadcast. Written and read by alerts.escalate.
TOLD_LIVE = "wedops:alerts:told_live"
