"""What happened, appended in the transaction of its effect and read by cursor: nothing is skipped, nothing is polled."""
