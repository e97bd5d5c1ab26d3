"""How an entry is written, and what other services may ask of the cache."""
