"""Numbers about affinities: whether a row, a block or an attribution can be believed."""
