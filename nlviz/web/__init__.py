"""Drawn in the browser: the live view and the lens, for pages of any framework.

A page mounts ``LIVE_VIEW`` or ``LENS``, a script without dependencies, and gives it the bytes that
``live_view``, ``denoise_view`` or ``lens_payload`` pack.
"""

from nlviz.lazy import public_names

__getattr__, __dir__, __all__ = public_names(__name__, __file__)
