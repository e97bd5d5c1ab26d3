"""Urgent messages to 40 suppliers among 1,000 guests, while both cores burn and 50,000 tasks wait."""
