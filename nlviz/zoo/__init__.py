"""Names and files to models: the catalogue, checkpoints, devices, labels."""

from nlviz.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__, __file__)
