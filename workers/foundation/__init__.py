"""What every room stands on: clock, settings, servers, locks, logs, errors."""
