"""Urgent messages: written for each recipient before they are sent, and proved to have arrived."""
