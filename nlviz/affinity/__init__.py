"""Affinities: rows on demand, never a matrix of queries x keys."""

from nlviz.affinity.base import DENSE_LIMIT, Affinity, Head, Indices, RowsMixin
from nlviz.affinity.embedded import EmbeddedAffinity

__all__ = ["DENSE_LIMIT", "Affinity", "EmbeddedAffinity", "Head", "Indices", "RowsMixin"]
