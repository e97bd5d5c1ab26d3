"""The room's Redis keys. The API writes and reads them."""

#: How many calls a caller made in a minute: RATES + caller + `:` + minute.
RATES = "wedops:api:rate:"
