"""Emergencies: opened once, their protocol begun at once."""
