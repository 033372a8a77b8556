"""nlviz shows where non-local blocks look: per query, across space and time, and what to believe.

The public interface is written in ``__init__.pyi``. Its names are imported when first used, so that
``import nlviz`` itself costs nothing.
"""

from nlviz.former_names import install
from nlviz.lazy import public_names

__version__ = "0.3.0"
__getattr__, __dir__, __all__ = public_names(__name__, __file__)
install()
