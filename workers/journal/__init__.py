"""What happened, appended in the transaction of its effect and read by cursor.

Nothing is skipped, nothing is polled.
"""
