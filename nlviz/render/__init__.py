"""Drawn to files: pictures, films, pages, charts."""

from nlviz.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__, __file__)
