"""Denoisers, one file for each origin."""
