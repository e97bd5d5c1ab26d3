"""What other services ask of us: a row first, then a message, again until its effect is there."""
