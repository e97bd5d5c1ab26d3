"""What is to be sent, written in the transaction of what it is about.

Claimed, tried, backed off, given up, replayed.
"""
