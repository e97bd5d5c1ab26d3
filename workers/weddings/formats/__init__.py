"""Calendars from outside, CSV and iCalendar, into weddings.

What can't be taken is named with its line and its remedy.
"""
