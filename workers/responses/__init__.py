"""What is done about a degradation: step by step, measured, undone."""
