"""Emergencies, their steps and protocols as rows."""
