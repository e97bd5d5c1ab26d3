"""Two layers of cache: in the process, and in Valkey."""
