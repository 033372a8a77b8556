from .base import DENSE_LIMIT as DENSE_LIMIT
from .base import Affinity as Affinity
from .base import Head as Head
from .base import Indices as Indices
from .base import RowsMixin as RowsMixin
from .embedded import EmbeddedAffinity as EmbeddedAffinity

__all__: list[str]
