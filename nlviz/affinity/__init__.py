"""Affinities: rows on demand, never a matrix of queries x keys."""

from nlviz.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__, __file__)
