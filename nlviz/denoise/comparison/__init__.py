"""Denoisers side by side on one noisy picture."""
