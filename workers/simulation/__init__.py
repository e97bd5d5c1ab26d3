"""Worlds that never were, and spans played again."""
