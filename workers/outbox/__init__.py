"""What is to be sent, written in the transaction of what it is about: claimed, tried, backed off, given up, replayed."""
