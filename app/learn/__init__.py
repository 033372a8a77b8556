"""The page Learn: eight lessons, one at a time."""
