"""Weights from the network: downloaded once, resumed, checked, and kept in the user's cache."""

from __future__ import annotations
