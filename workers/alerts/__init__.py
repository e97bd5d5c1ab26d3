"""What is wrong: fired once, published once, resolved when it ends."""
