"""The operator's command, `wedops`."""
