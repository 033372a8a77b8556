"""What is changed before a pass runs again: the clip, rows of a block, or whole blocks."""

from nlviz.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__, __file__)
