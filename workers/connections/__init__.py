"""The registry of every connection, its sweep and its snapshots."""
