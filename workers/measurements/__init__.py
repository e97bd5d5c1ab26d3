"""What services measure: taken in, written once, rolled up, watched."""
