"""A | B: two views of one query side by side."""
