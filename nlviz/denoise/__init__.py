"""Denoisers and their affinities: non-local means, its relatives, peers and two learned networks.

Each denoiser is equation (1) of Wang et al. 2018 (arXiv 1711.07971) with its own f: the mean
filter has f = 1 in a window, the Gaussian filter an f of the distance, the bilateral filter of the
distance and the pixels, non-local means (Buades, Coll and Morel 2005) of the patches, and the
learned non-local network of what it made of them.

Pictures are (H, W) or (H, W, C) arrays, clips (T, H, W, C), volumes (Z, H, W) with axes="ZYX"; of
uint8, uint16, another integer of at most 32 bits, or float of any range. ``sigma`` and ``h`` are in
the picture's own units; where the value of white matters it is that of the type or told by the
values, unless ``range`` gives it. The names are written in ``__init__.pyi`` and imported when first
used.
"""

from nlviz.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__, __file__)
