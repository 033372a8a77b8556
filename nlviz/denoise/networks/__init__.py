"""How the learned denoisers run."""
