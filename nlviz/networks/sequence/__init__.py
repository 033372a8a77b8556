"""Small networks over sequences of symbols: MUSE, its plain twin, and blocks of dimension 1."""
