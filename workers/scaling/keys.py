"""The Redis keys of scaling, on the server of the registry.

What its gateways read is with those of connections.
"""

#: `REGION/RESOURCE`: string, there while somebody looked at it a short time ago.
LOOKED = "wedops:scaling:looked:"
#: `ACTUATOR`: string, there while a call has not ended.
HANGS = "wedops:scaling:hangs:"
