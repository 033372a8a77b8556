"""Architectures written here."""
