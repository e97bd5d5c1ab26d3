"""The two layers, what the server is asked, and what is counted."""
