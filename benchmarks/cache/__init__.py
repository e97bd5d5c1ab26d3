"""How fast the cache is, beside libraries; and whether it is ever wrong or absent."""
