"""The calendar as rows."""
