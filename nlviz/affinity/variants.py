"""What can be shown for one query in the place of a block's own rows: the one list of variants.

A variant is another choice of f for the same clip and query, to compare the block's with, or a part
of the block's own affinity. Its key stands in view files, addresses and on the command line; its
place in the list is its number key in the browser. ``analysis.controls`` makes the affinities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Variant:
    """One affinity that can be shown for a query.

    Attributes:
        key: short name, as in view files.
        label: name on the screen.
        note: one plain sentence about it, for the screen.
        caption: what a figure says in the place of what the network was trained for; empty for
            the block's own affinity.
        part: whether it is a part of the block's own affinity rather than something to compare it
            with.
        split: for the parts of the exact split, whether it is about the ``query`` or ``shared`` by
            all queries; None for all others.
        term: which term of the logits is shown alone, where one is.
        several: whether it is made of several products of one layer.

    >>> [variant.label for variant in VARIANTS if variant.part]
    ['Pairwise', 'Unary', 'Minus mean', 'Content', 'Position']
    """

    key: str
    label: str
    note: str
    caption: str = ""
    part: bool = False
    split: Literal["query", "shared"] | None = None
    term: Literal["content", "position"] | None = None
    several: bool = False


LEARNED = Variant("learned", "Learned", "f as the block computes it.")
FEATURES = Variant(
    "features",
    "Raw features",
    "Cosine of the features that enter the block, without its learned embeddings.",
    "For comparison: raw features instead of the learned embeddings",
)
POSITION = Variant(
    "position",
    "Position only",
    "The nearer in the picture the larger, the same in every frame; content plays no part.",
    "For comparison: position only: the nearer in the picture, the larger",
)
UNTRAINED = Variant(
    "untrained",
    "Untrained block",
    "The same block with fresh random weights, on the same features.",
    "For comparison: the same block untrained",
)
PIXELS = Variant(
    "nl_means",
    "Pixel non-local means",
    "Similarity of 7 x 7 pixel patches of a small copy of the clip (Buades 2005).",
    "For comparison: non-local means of pixels",
)
PAIRWISE = Variant(
    "pairwise",
    "Pairwise",
    "What is about the query: f of query minus mean query and key minus mean key; its logits "
    "plus the unary ones give the learned row, exactly.",
    "Pairwise part of the exact split: what is about the query",
    part=True,
    split="query",
)
UNARY = Variant(
    "unary",
    "Unary",
    "What every query shares: f of the average query and the key, the same map wherever you point.",
    "Unary part of the exact split: the same for every query",
    part=True,
    split="shared",
)
MINUS_MEAN = Variant(
    "minus_mean",
    "Minus mean",
    "This query's row minus the mean row of all queries: what it gives more, or less, than the "
    "average query; the ends of the colour bar tell how much.",
    "Rows minus their mean row: what this query gives more or less",
    part=True,
)

CONTENT_PART = Variant(
    "content_part",
    "Content",
    "What queries and keys say alone: the block's rows without what is added for positions.",
    "The block's rows without their position term",
    part=True,
    term="content",
)
POSITION_PART = Variant(
    "position_part",
    "Position",
    "What the block adds for positions alone: its rows as if queries and keys said nothing.",
    "The block's position term alone",
    part=True,
    term="position",
)

ROLLOUT = Variant(
    "rollout",
    "Rollout",
    "What this query is made of through all layers up to here: their mean maps multiplied, a share "
    "of each passed on by its residual path. A composition, none of the network's own maps.",
    "Attention rollout through the layers, none of the network's own maps",
)
CROSS = Variant(
    "cross",
    "Cross",
    "The rows of both products of this layer for one query, in one picture and on one scale.",
    "The rows of both products of a layer on one scale, each summing to 1",
    several=True,
)
COMPOSED = Variant(
    "composed",
    "Composed",
    "The row of the layer's last product through the rows of the one before it.",
    "A composition of a layer's products, without residual path, projections and layers between",
    several=True,
)

COSINE = Variant(
    "cosine",
    "Features, cosine",
    "How alike the features that enter the block are, from -1 to 1, over all frames: no softmax, "
    "nothing learned in f.",
    "For comparison: cosine of the features that enter the block, no softmax",
)
SIMILARITY = "How alike the features of this layer are, from -1 to 1, over all frames: no softmax."

# New ones come last, so that number keys stay those that users know.
VARIANTS = (
    *(LEARNED, FEATURES, POSITION, UNTRAINED, PIXELS, PAIRWISE, UNARY, MINUS_MEAN),
    *(CONTENT_PART, POSITION_PART, ROLLOUT, CROSS, COMPOSED, COSINE),
)


def variant_of(key: str) -> Variant | None:
    """Return the variant with this key, or None for a key that no variant has.

    >>> variant_of("features") is FEATURES, variant_of("feature")
    (True, None)
    """
    return next((variant for variant in VARIANTS if variant.key == key), None)
