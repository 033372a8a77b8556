"""What a row gives to the clip, to the words, and to the marks between them.

Marks take much of a row without saying anything of the input: attention sinks of Xiao et al. 2023
(arXiv 2309.17453), so they are counted apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.token_names import OVERVIEW
from nlviz.errors import NlvizError


@dataclass(frozen=True, eq=False)
class Shares:
    """Shares of a row, which together are 1.

    Attributes:
        vision: of the clip, all frames together, and what stands for a picture as a whole.
        text: of the words that were written, by the asker or the network.
        special: of marks: ``<s>``, ends of rows, of chats and pictures.
        per_frame: (t,) of the vision tokens of each frame of the key grid.
    """

    vision: float
    text: float
    special: float
    per_frame: npt.NDArray[np.float64]


def shares(row: AttentionMap) -> Shares:
    """Return what a row gives to the clip, to words, and to marks.

    Args:
        row: of a word, or of a patch, of a network that takes a text beside the clip.

    Raises:
        NlvizError: when its keys are no clip with words beside it, or it is no row of weights.

    >>> from nlviz.affinity.grid import Line, TokenGrid
    >>> line = Line(("<s>", "a", "dog"), special=frozenset({0}))
    >>> keys = TokenGrid((2, 1, 1), prefix=3, line=line)
    >>> weights, apart = np.array([[[0.25]], [[0.125]]]), np.array([0.5, 0.125, 0])
    >>> row = AttentionMap(weights, (0, 0, 0), keys, off_weights=apart)
    >>> found = shares(row)
    >>> found.vision, found.text, found.special, found.per_frame.tolist()
    (0.375, 0.125, 0.5, [0.25, 0.125])
    """
    line, apart = row.keys.line, row.off_weights
    if line is None or apart is None or row.direction != "from" or row.values != "weights":
        raise NlvizError(
            "shares are those of a row of weights over a clip and words beside it; ask for one "
            "with map(token=...) of a network that takes both"
        )
    of_clip = np.array([word.startswith(OVERVIEW) for word in line.words], bool)
    marks = np.array([i in line.special for i in range(line.size)], bool) & ~of_clip
    per_frame = row.per_frame()
    off = apart.astype(np.float64)
    return Shares(
        vision=float(per_frame.sum() + off[of_clip].sum()),
        text=float(off[~marks & ~of_clip].sum()),
        special=float(off[marks].sum()),
        per_frame=per_frame,
    )
