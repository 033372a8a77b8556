from .base import DENSE_LIMIT as DENSE_LIMIT
from .base import Affinity as Affinity
from .base import Head as Head
from .base import Indices as Indices
from .base import RowsMixin as RowsMixin
from .bias import Bias as Bias
from .bias import KeyBias as KeyBias
from .bias import OffsetBias as OffsetBias
from .embedded import EmbeddedAffinity as EmbeddedAffinity
from .support import Everything as Everything
from .support import FrameGroups as FrameGroups
from .support import Support as Support
from .support import Window as Window

__all__: list[str]
