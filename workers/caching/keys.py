"""The keys of the cache's own server: what is there may be evicted, and can be made again."""

#: `KIND:ID…`: an entry. Written and read by the store and by the client library of other services.
ENTRIES = "wedops:cache:"
#: `KIND:ID…`: string, there while one loads the entry and the others wait.
LOADING = "wedops:loading:"
#: Channel: keys that changed, separated by spaces, for what processes hold in memory.
CHANGED = "wedops:cache:changed"
