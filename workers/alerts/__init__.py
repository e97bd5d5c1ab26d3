"""What is wrong: fired once, told once, resolved when it ends."""
