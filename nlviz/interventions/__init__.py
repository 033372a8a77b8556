"""What is changed before a pass runs again: the clip, rows of a block, or whole blocks."""
