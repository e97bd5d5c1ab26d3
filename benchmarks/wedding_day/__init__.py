"""How early and how truly weddings are warned, and what a look at all of them costs."""
