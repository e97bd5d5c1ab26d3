"""Who may do what, without a server."""
