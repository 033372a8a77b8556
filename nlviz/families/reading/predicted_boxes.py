"""The box that a detection transformer predicts for each of its queries.

Carion et al. 2020, "End-to-End Object Detection with Transformers", arXiv 2005.12872: N object
queries, for each of which the network says a box (middle x and y, width and height, as shares of
the picture) and a score per class, the last of which, there, is that of no object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.families.reading.prepared import Prepared

SURE = 0.5  # score from which a query is called what it found
_LEAST = 1e-3  # pixels of an edge, so that a box of nothing is still one


def predicted_boxes(
    net: nn.Module, output: object, prepared: Prepared
) -> tuple[TokenBoxes | None, tuple[str, ...]]:
    """Return the boxes of all queries of all frames in the clip, and what to tell of them.

    Args:
        net: the network, whose configuration says what its classes are, where it has one.
        output: what it returned: ``pred_boxes`` (frames, queries, 4) is looked for in it.
        prepared: its input.

    >>> import torch
    >>> from nlviz.affinity.grid import Axis
    >>> picture = Prepared(torch.zeros(1, 3, 20, 40), Axis(2.0, 0.5), Axis(2.0, 0.5), (1, 40, 80))
    >>> output = {"pred_boxes": torch.tensor([[[0.5, 0.5, 0.25, 0.5]]])}
    >>> predicted_boxes(nn.Identity(), output, picture)[0].boxes
    ((0.0, 10.0, 30.0, 30.0, 50.0),)
    """
    boxes = _part(output, "pred_boxes")
    if boxes is None or boxes.dim() != 3 or boxes.shape[-1] != 4:
        return None, ()
    boxes = boxes.detach().double().cpu()
    if not bool(boxes.isfinite().all()):
        return None, ("The network predicted boxes that are no numbers; its queries have numbers.",)
    frames, queries, _ = boxes.shape
    sizes = _sizes(prepared, frames)
    labels = _labels(net, output, frames, queries)
    found, names = [], []
    for frame in range(frames):
        height, width = sizes[frame]
        for query in range(queries):
            x, y, w, h = boxes[frame, query].tolist()
            half_y, half_x = max(h * height, _LEAST) / 2, max(w * width, _LEAST) / 2
            edges = (
                y * height - half_y,
                x * width - half_x,
                y * height + half_y,
                x * width + half_x,
            )
            found.append(prepared.box_in_clip((float(frame), *edges)))
            names.append(labels[frame][query] or f"query {query}")
    told = (
        "Its queries stand at the boxes that the network predicted for them in the end, in every "
        f"layer; one without a score above {SURE:g} is called by its number."
    )
    return TokenBoxes.of(found, names), (told,)


def _part(output: object, name: str) -> Tensor | None:
    found = output.get(name) if isinstance(output, Mapping) else getattr(output, name, None)
    return found if isinstance(found, Tensor) else None


def _sizes(prepared: Prepared, frames: int) -> list[tuple[float, float]]:
    """Return height and width, in pixels of the input, that boxes are shares of.

    Where a mask says which pixels are padding, these are no part of the picture.
    """
    mask = prepared.kwargs.get("pixel_mask")
    height, width = prepared.tensor.shape[-2:]
    if isinstance(mask, Tensor) and mask.dim() == 3 and len(mask) == frames:
        kept = mask.bool()
        return [(float(m.any(1).sum()) or height, float(m.any(0).sum()) or width) for m in kept]
    return [(float(height), float(width))] * frames


def _labels(net: nn.Module, output: object, frames: int, queries: int) -> list[list[str]]:
    """Return label and score of each query; empty for those of low score, or of unknown classes."""
    nothing = [[""] * queries for _ in range(frames)]
    config: Any = getattr(net, "config", None)
    known = getattr(config, "id2label", None)
    logits = _part(output, "logits")
    if not isinstance(known, Mapping) or logits is None or logits.shape[:2] != (frames, queries):
        return nothing
    classes = logits.shape[-1]
    if classes == len(known) + 1:  # the last is that of no object
        scores = logits.detach().float().softmax(-1)[..., :-1]
    elif classes == len(known):  # each by itself
        scores = logits.detach().float().sigmoid()
    else:
        return nothing
    best = scores.max(-1)
    return [
        [
            f"{_named(known, int(i))} {float(s):.2f}" if float(s) >= SURE else ""
            for s, i in zip(best.values[f], best.indices[f], strict=True)
        ]
        for f in range(frames)
    ]


def _named(known: Mapping[int, str], number: int) -> str:
    """Return what a class is called, or its number where nobody named it."""
    name = str(known.get(number, number))
    return f"class {number}" if name in (str(number), f"LABEL_{number}") else name
