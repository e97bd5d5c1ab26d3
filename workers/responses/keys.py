"""The Redis keys of responses, on the server of the registry.

They are called as the room once was: what runs stays known.
"""

#: `REGION`: set of the nodes that a response drained.
DRAINED = "wedops:degradation:drained:"
#: `SCOPE`: string: a person switched an emergency mode; there while that is heeded.
LEFT = "wedops:degradation:left_to_people:"
