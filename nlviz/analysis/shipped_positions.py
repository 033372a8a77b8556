"""The bundled mean rows of each position: of the first network on clips of the first clip's shape.

``nlviz.recipes.mean_rows`` makes the files and says what they hold.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from torch import Tensor

from nlviz.affinity.bias import OffsetBias
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.mean_of import MeanPosition
from nlviz.affinity.pairwise import Pairwise
from nlviz.captures.capture import Capture
from nlviz.errors import NlvizError
from nlviz.files.checked_json import parsed_json
from nlviz.resources import asset
from nlviz.sentences import fixed


class _Kept(NamedTuple):
    told: dict[str, Any]
    tensors: dict[str, Tensor]


def shipped_position(capture: Capture, block: str) -> MeanPosition | None:
    """Return the bundled mean rows of a block's positions, or None where there are none.

    There are for blocks of ``lite-nl`` on clips of 8 frames of 640 x 360 pixels. They are a fit of
    the exact ones; the note says how much of their mass both have in common.

    Raises:
        UnknownBlock: when there is no such block.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=64)
    >>> shipped_position(nlviz.load_model("lite-nl").capture(clip), "stage4") is None
    True
    """
    affinity = capture.affinities[block]
    for path in _files():
        told, tensors = _read(path)
        asked = (capture.about.digest, block, list(affinity.queries.shape))
        if asked != (told["model"], told["block"], told["shape"]):
            continue
        if list(capture.clip.shape) != told["clip_shape"] or affinity.keys != affinity.queries:
            continue
        rows = EmbeddedAffinity(
            name=block,
            pairwise=Pairwise("embedded_gaussian"),
            theta=tensors["theta"].float()[None],
            phi=tensors["phi"].float()[None],
            queries=affinity.queries,
            keys=affinity.keys,
            bias=OffsetBias(tensors["table"].float()[None]),
            clip_shape=affinity.clip_shape,
        )
        note = (
            f"Mean rows over {told['clips']} parts of the bundled films and photos come with the "
            f"network, as a fit that has {fixed(100 * told['common'], 0)} % of its weight in "
            "common with the exact ones."
        )
        return MeanPosition(block, rows, int(told["clips"]), note)
    return None


def _files() -> list[Path]:
    try:
        return sorted(asset("positions").glob("*.safetensors"))
    except NlvizError:
        return []


@lru_cache(maxsize=4)
def _read(path: Path) -> _Kept:
    with safe_open(str(path), framework="pt") as file:
        told = parsed_json((file.metadata() or {}).get("mean_rows", "{}"))
        tensors = {name: file.get_tensor(name) for name in ("theta", "phi", "table")}
    return _Kept(told, {name: torch.as_tensor(x) for name, x in tensors.items()})
