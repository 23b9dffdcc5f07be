"""A small, geometrically consistent stand-in for the licensed data."""
