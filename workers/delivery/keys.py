"""The Redis keys and channels of urgent messages, on the server of the connections."""

#: `WEDDING`: channel of a wedding's urgent messages, each as JSON (formats.wire). Published by the urgent
#: lane; a gateway subscribes while it holds a socket of the wedding.
URGENT = "wedops:urgent:"
#: Stream: receipts, and who joined. Written by the functions, for gateways; read by the urgent lane as a
#: group, and emptied as it is remembered.
IN = "wedops:{urgent}:in"
#: The readers of IN.
GROUP = "lane"
#: `SENDER:SECOND`: how many messages a caller sent in a second; gone two seconds later.
SENT = "wedops:{urgent}:sent:"
