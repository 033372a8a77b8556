"""How the lesson *Read a map honestly* keeps a map: embeddings, grid and what is seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.captures.capture import Capture
from nlviz.clips.clip import Clip
from nlviz.picture import resized

Arrays = dict[str, npt.NDArray[Any]]


def keep(
    arrays: Arrays,
    maps: dict[str, Any],
    key: str,
    affinity: EmbeddedAffinity,
    clip: Clip | None,
    *,
    kind: type = np.float32,
    **more: Any,
) -> None:
    """Keep a map: its embeddings, its grid and what is seen."""
    grid, prefix = affinity.queries, affinity.queries.prefix
    arrays[f"{key}.theta"] = (
        (affinity.theta * float(affinity.pairwise.scale)).detach().numpy().astype(kind)
    )
    arrays[f"{key}.phi"] = affinity.phi.detach().numpy().astype(kind)
    if clip is not None:
        arrays[f"{key}.seen"] = seen(clip, grid.shape)
    maps[key] = {
        "shape": list(grid.shape),
        "prefix": prefix,
        "softmax": affinity.pairwise.name != "dot_product",
        **more,
    }


def seen(clip: Clip, shape: tuple[int, int, int], pixels: int = 4) -> npt.NDArray[np.uint8]:
    """Return (t, rows x n, columns x n, 3): frames, n pixels a cell, at most ``pixels``."""
    _, rows, columns = shape
    n = max(1, min(pixels, round(clip.shape[1] / rows)))
    frames = [resized(frame, (rows * n, columns * n)) for frame in clip.frames]
    return np.stack(frames).astype(np.uint8)


def embedded(capture: Capture, block: str = "nl") -> EmbeddedAffinity:
    """Return a block's affinity, which holds theta and phi."""
    affinity = capture.affinities[block]
    assert isinstance(affinity, EmbeddedAffinity)
    return affinity
