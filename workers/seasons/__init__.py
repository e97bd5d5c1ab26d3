"""Season per region, and what kind of day it is."""
