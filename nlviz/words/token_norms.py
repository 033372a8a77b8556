"""Norms of tokens in words."""

from __future__ import annotations

import math

from nlviz.captures.token_norms import LayerNorms, TokenNorms
from nlviz.sentences import counted, fixed
from nlviz.words.numbers import multiple_text, number_text

NORMS_RULE = (
    "L2 norm over the channels of each token that leaves a layer. In some large networks a few "
    "patches are far longer than all others and hold what is of the whole picture (Darcet et al. "
    "2024, arXiv 2309.16588). How long is long differs between networks, so there is no threshold: "
    "look for a second hump at the right end of the histogram."
)


def norms_sentence(found: TokenNorms) -> str:
    """Return in a sentence which layer has the longest token against its median.

    >>> import torch
    >>> from nlviz.affinity.grid import TokenGrid
    >>> from nlviz.clips.clip import Clip
    >>> import numpy as np
    >>> of = LayerNorms("blocks.3", TokenGrid((1, 1, 3)), torch.tensor([[[1.0, 1.0, 8.0]]]),
    ...                 torch.zeros(0))
    >>> clip = Clip.from_frames(np.zeros((1, 8, 24, 3), np.uint8))
    >>> norms_sentence(TokenNorms(clip, {"blocks.3": of}, {}))
    'The longest token of all layers is that of blocks.3 at frame 0, y 0, x 2: 8× its median.'
    """
    record = max(found.table(), key=lambda r: r["ratio"])
    place = f"frame {fixed(record['frame'], 1).removesuffix('.0')}, y {fixed(record['y'], 0)}"
    return (
        f"The longest token of all layers is that of {record['layer']} at {place}, "
        f"x {fixed(record['x'], 0)}: {multiple_text(record['ratio'])} its median."
    )


def histogram_texts(of: LayerNorms, bins: int) -> tuple[list[float], list[str], list[str]]:
    """Return a layer's histogram for a bar chart: heights, labels of the bars, and counts in words.

    Heights are log(1 + count): a hump of three tokens is seen beside one of thousands.

    >>> import torch
    >>> from nlviz.affinity.grid import TokenGrid
    >>> norms = torch.tensor([[[1.0, 1.0, 4.0]]])
    >>> of = LayerNorms("a", TokenGrid((1, 1, 3)), norms, torch.zeros(0))
    >>> histogram_texts(of, 2)[2]
    ['2 tokens of norm 1.000 to 2.00', '1 token of norm 2.00 to 4.00']
    """
    edges, counts = of.histogram(bins)
    labels = [number_text(float(edge)) for edge in edges]
    texts = [
        f"{counted(int(n), 'token')} of norm {labels[i]} to {labels[i + 1]}"
        for i, n in enumerate(counts)
    ]
    return [math.log1p(int(n)) for n in counts], labels[:-1], texts
