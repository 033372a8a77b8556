"""How like the query the keys are that a row looks at, by the features that enter the block.

``likeness`` is sum_j p_j r_j / sum_j p_j over the keys that the query reaches but its own: r_j is
the share of the other keys whose features are less like the query's than those of key j, by their
cosine (of equal ones the mean). It is the probability that a key drawn by the row is more like the
query than one drawn evenly (Mann and Whitney 1947): 1/2 where the row goes by anything else, 1
where all of it lies on the key that is most alike. A rank correlation over all keys, as
``features``, says little of a row that looks at three keys of a thousand; this does.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from nlviz.captures.capture import Capture
from nlviz.clips.text import prompt_of
from nlviz.surveys.measuring.ranks import sorted_ranks
from nlviz.surveys.measuring.rows import Asked, all_finite

AT_ONCE = 8  # queries whose keys are ranked, few enough for the processor's cache
LARGE = 1e15  # features whose squares have no sum in single precision

Numbers = npt.NDArray[np.floating]


def feature_cosines(
    capture: Capture, asked: Asked, block: str
) -> tuple[Float[Tensor, "n keys"] | None, str]:
    """Return the cosine of the features of sampled queries and of all keys, or None, and why.

    Args:
        capture: of the clip.
        asked: the sampled rows.
        block: name of the block.
    """
    queries, keys = asked.affinity.queries, asked.affinity.keys
    x = capture.features.get(block)
    if x is None or {queries.kind, keys.kind} != {"grid"} or prompt_of(capture.clip) is not None:
        return None, ""
    if tuple(x.shape[1:]) != tuple(queries.shape):
        return None, ""
    x = x.float()
    if not all_finite(x):
        return None, (
            f"The features that enter {block} hold infinity or what is not a number, so that "
            "no agreement with them is told."
        )
    if float(x.amax()) > LARGE or float(x.amin()) < -LARGE:
        x = x.double()
    index = asked.index.to(x.device)
    if keys.shape == queries.shape:  # vectors of unit length are not needed but for the queries
        flat = x.flatten(1)
        size = flat.square().sum(0).sqrt_().clamp_(min=1e-12)
        return ((flat[:, index] / size[index]).mT @ flat).div_(size).float(), ""
    unit = F.normalize(x, dim=0)
    phi = F.adaptive_max_pool3d(unit[None], keys.shape)[0]
    return (unit.flatten(1)[:, index].mT @ phi.flatten(1)).float(), ""


def likeness(asked: Asked, cosine: Float[Tensor, "n keys"]) -> Float[Tensor, "heads n"]:
    """Return the likeness of the keys of each row.

    Args:
        asked: the sampled rows.
        cosine: of the queries and all keys.
    """
    rows = asked.rows[..., asked.prefix :].cpu().numpy()
    heads, n, _ = rows.shape
    hidden: list[npt.NDArray[np.bool_] | None] = [None]
    if asked.reach is not None:
        hidden = list(~asked.reach[..., asked.prefix :].cpu().numpy())
    found = np.empty((heads, n))
    cosines = cosine.cpu().numpy()
    own = None if asked.own is None else asked.own.cpu().numpy() - asked.prefix
    for one, mask in enumerate(hidden):  # all heads at once, or each
        heads_of = slice(None) if len(hidden) == 1 else slice(one, one + 1)
        for first in range(0, n, AT_ONCE):
            some = slice(first, first + AT_ONCE)
            values = cosines[some].copy()
            if mask is not None:
                values[mask[some]] = np.inf  # such keys come last
            if own is not None:
                values[np.arange(len(values)), own[some]] = np.inf
            found[heads_of, some] = _auc(rows[heads_of, some], values)
    return torch.from_numpy(found)


def _auc(rows: Numbers, values: Numbers) -> Numbers:
    """Return the likeness of rows (heads, n, keys) by values (n, keys), infinite where none is."""
    count = np.isfinite(values).sum(-1)
    most = int(count.max(initial=0))
    at, ranks = sorted_ranks(values)
    weights = np.abs(rows.reshape(len(rows), -1).take(at[:, :most], -1))
    if int(count.min(initial=most)) < most:
        weights *= np.arange(most) < count[:, None]
    total = weights.sum(-1, dtype=np.float64)
    less = np.einsum("hnk,nk->hn", weights, ranks[:, :most]) / np.maximum(count - 1, 1)
    return np.asarray(less / np.where(total > 0, total, np.nan))
