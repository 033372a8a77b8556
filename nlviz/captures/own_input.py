"""Inputs that a user's own function makes of a clip, and where their pixels lie in it.

The function may resize, crop, pad, normalise and order axes as it likes; of a network that takes
boxes it finds those that are asked about in ``clip.boxes``. Where its pixels lie is
measured: it is given clips of the same shape that hold a ramp, whose value says the place, and a
black and a white one, which say what it does to values,

    place = (f(ramp) - f(black)) / (f(white) - f(black)) * (length - 1)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nlviz.affinity.grid import Axis
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.clips.clip import Box, Clip
from nlviz.errors import NlvizError
from nlviz.families.reading.prepared import PICTURE, Prepared

Prepare = Callable[[Clip], Any]

STRAIGHT = 1.5  # pixels of the clip, and of the input, by which places may leave a straight line


@dataclass(frozen=True)
class Places:
    """Where the pixels of an input lie in clips of one shape.

    Attributes:
        t, y, x: of its frames, rows and columns.
        order: axes of the network's tensor in the order (batch, channels, T, H, W) or
            (T, channels, H, W).
        notes: a sentence for each thing that a user must know.
    """

    t: Axis
    y: Axis
    x: Axis
    order: tuple[int, ...]
    notes: tuple[str, ...]


def own_input(make: Prepare, clip: Clip, known: dict[Any, Places]) -> Prepared:
    """Return the input that a function makes of a clip.

    Args:
        make: takes a clip and returns what the network takes: a tensor, a tuple of positional
            arguments, a dict of keywords, or a list, which is one argument.
        clip: the clip.
        known: places by shapes, where they were measured before; completed.

    Raises:
        NlvizError: when what it returns holds no tensor with 4 or 5 axes, or a mirrored clip.
    """
    args, kwargs = _arguments(make(clip))
    picture = _picture(args, kwargs)
    if picture is None:
        raise NlvizError(
            "prepare= must return what the network takes: a tensor, a tuple of arguments, a dict "
            "of keywords or a list, with a tensor of 4 or 5 axes among it; it returned "
            f"{type(args[0] if args else kwargs).__name__}"
        )
    pictures = sum(t.dim() in (4, 5) for t in _tensors((args, kwargs)))
    key = (clip.shape, tuple(picture.shape))
    if key not in known:
        known[key] = measured(_asking(make, clip.boxes), clip.shape, picture.shape)
    places = known[key]
    notes = places.notes
    if pictures > 1:
        notes += (f"The input holds {pictures} pictures; cells are placed in the largest.",)
    return Prepared(
        picture.permute(places.order),
        places.y,
        places.x,
        clip.shape,
        t=places.t,
        args=_with_picture(args, picture),
        kwargs=_with_picture(kwargs, picture),
        order=places.order,
        notes=notes,
        boxes=TokenBoxes.of(clip.boxes) if clip.boxes else None,
    )


def _asking(make: Prepare, boxes: tuple[Box, ...]) -> Prepare:
    """Return a function that is asked about boxes on whatever clip it is given."""
    return lambda clip: make(replace(clip, boxes=boxes))


def measured(make: Prepare, clip_shape: tuple[int, int, int], shape: torch.Size) -> Places:
    """Measure where the pixels lie of what a function makes of a clip of this shape.

    >>> def crop(clip):
    ...     return torch.tensor(clip.frames).permute(0, 3, 1, 2)[:, :, 3:43, 10:50].float() / 255
    >>> found = measured(crop, (2, 46, 64), torch.Size((2, 3, 40, 40)))
    >>> round(found.y.origin, 1), round(found.x.origin, 1), round(found.x.stride, 2)
    (3.0, 10.0, 1.0)
    """
    usual = _usual(clip_shape, shape)
    black, white = (_seen(make, np.full(clip_shape, v)) for v in (0.0, 255.0))
    if black is None or white is None or black.shape != shape or white.shape != shape:
        return usual
    span = white - black
    counts = span.abs() > 1e-6 * span.abs().max().clamp(min=1e-30)
    if not bool(counts.any()) or not bool(span.isfinite().all()):
        return usual
    found: list[tuple[int, Axis] | None] = []
    for dim, length in enumerate(clip_shape):
        ramp = np.arange(length) * (255.0 / max(length - 1, 1))
        along = [1, 1, 1]
        along[dim] = length
        seen = _seen(make, np.broadcast_to(ramp.reshape(along), clip_shape))
        if seen is None or seen.shape != shape:
            return usual
        places = torch.where(counts, (seen - black) / span, 0.0) * (length - 1)
        found.append(_fitted(places, counts, length) if length > 1 else None)
    t, y, x = found
    if (y is None and clip_shape[1] > 1) or (x is None and clip_shape[2] > 1):
        return usual
    at_y, at_x = (y or (len(shape) - 2, usual.y))[0], (x or (len(shape) - 1, usual.x))[0]
    rest = [d for d in range(len(shape)) if d not in (at_y, at_x)]
    if at_y == at_x or (len(shape) == 5 and 0 not in rest):
        return usual
    axis_t = Axis()
    if len(shape) == 5:
        one, two = rest[1:]
        at_t = t[0] if t and t[0] in (one, two) else (one if shape[one] == 1 else two)
        if t is None and clip_shape[0] > 1:
            at_t = two
        channels = one if at_t == two else two
        order: tuple[int, ...] = (0, channels, at_t, at_y, at_x)
        axis_t = t[1] if t and t[0] == at_t else Axis()
    else:
        order = (rest[0], rest[1], at_y, at_x)
        if t is not None and t[0] == rest[0]:
            axis_t = t[1]
        elif t is not None and t[0] == rest[1]:  # frames side by side as channels
            axis_t = Axis(float(clip_shape[0]), t[1].origin + t[1].stride * (shape[t[0]] - 1) / 2)
    axes = (axis_t, y[1] if y else usual.y, x[1] if x else usual.x)
    for word, axis in zip(("frames", "rows", "columns"), axes, strict=True):
        if axis.stride < 0:
            raise NlvizError(
                f"prepare= mirrors the {word} of the clip; leave that out, and mirror the clip "
                "where a mirrored one is meant"
            )
    return Places(*axes, order, _cropped(axes, clip_shape, (shape[at_y], shape[at_x])))


def _usual(clip_shape: tuple[int, int, int], shape: torch.Size) -> Places:
    """Return the places of the whole clip, resized."""
    y, x = (Axis(n / m, (n / m - 1) / 2) for n, m in zip(clip_shape[1:], shape[-2:], strict=True))
    note = (
        "Where prepare= puts the clip's pixels could not be measured: the input is taken for the "
    )
    order = tuple(range(len(shape)))
    if len(shape) == 5 and shape[2] in (1, 3) and shape[1] not in (1, 3):
        order = (0, 2, 1, 3, 4)
    return Places(Axis(), y, x, order, (note + "whole of each frame, resized.",))


def _fitted(places: Tensor, counts: Tensor, length: int) -> tuple[int, Axis] | None:
    """Return the dimension along which places change, and how; None where they do not."""
    profiles = []
    for dim in range(places.dim()):
        others = [d for d in range(places.dim()) if d != dim]
        n = counts.sum(others)
        profiles.append((places.sum(others) / n.clamp(min=1), n > 0))
    spread = [float(p[k].max() - p[k].min()) if bool(k.any()) else 0.0 for p, k in profiles]
    dim = max(range(len(spread)), key=lambda d: spread[d])
    profile, known = profiles[dim]
    at = known.nonzero()[:, 0].double()
    if len(at) < 2 or spread[dim] <= 0.5:
        return None
    values = profile[known]
    edge = len(at) // 8  # where resizing repeats the border
    at, values = at[edge : len(at) - edge], values[edge : len(values) - edge]
    centred = at - at.mean()
    stride = float((centred * values).sum() / centred.square().sum())
    origin = float(values.mean() - stride * at.mean())
    off = float((values - origin - stride * at).abs().max())
    if stride == 0 or off > STRAIGHT * max(abs(stride), 1.0) + length / 255:
        return None
    if abs(stride - round(stride)) * len(at) < 0.5 and round(stride):  # 8 bits say no more
        stride = float(round(stride))
        origin = float(values.mean() - stride * at.mean())
        if abs(2 * origin - round(2 * origin)) < 0.2:
            origin = round(2 * origin) / 2
    return dim, Axis(stride, origin)


def _cropped(
    axes: tuple[Axis, Axis, Axis], clip_shape: tuple[int, int, int], shape: tuple[int, int]
) -> tuple[str, ...]:
    """Return a sentence where the input shows a part of each frame alone, or is mirrored."""
    said = []
    for word, axis, length, n in zip(
        ("rows", "columns"), axes[1:], clip_shape[1:], shape, strict=True
    ):
        first, last = axis.origin - axis.stride / 2, axis.origin + axis.stride * (n - 0.5)
        first, last = sorted((first + 0.5, last + 0.5))
        if first > 1.5 or last < length - 1.5:
            said.append(f"{word} {max(first, 0):.0f} to {min(last, length):.0f} of {length}")
    if not said:
        return ()
    return (f"prepare= shows the network {' and '.join(said)} of the clip alone.",)


def _seen(make: Prepare, values: Any) -> Tensor | None:
    """Return the picture that the function makes of a grey clip of these values."""
    frames = np.repeat(np.round(values).astype(np.uint8)[..., None], 3, -1)
    args, kwargs = _arguments(make(Clip.from_frames(frames, name="a ramp")))
    picture = _picture(args, kwargs)
    return None if picture is None else picture.detach().double().cpu()


def _arguments(given: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(given, Mapping):
        return (), dict(given)
    if isinstance(given, tuple):
        return given, {}
    return (given,), {}


def _picture(args: Any, kwargs: Any) -> Tensor | None:
    """Return the largest tensor that has 4 or 5 axes."""
    found = [t for t in _tensors((args, kwargs)) if t.dim() in (4, 5)]
    return max(found, key=lambda t: t.numel()) if found else None


def _tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        return [t for v in value.values() for t in _tensors(v)]
    if isinstance(value, (list, tuple)):
        return [t for v in value for t in _tensors(v)]
    return []


def _with_picture(value: Any, picture: Tensor) -> Any:
    if value is picture:
        return PICTURE
    if isinstance(value, Mapping):
        return {k: _with_picture(v, picture) for k, v in value.items()}
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(_with_picture(v, picture) for v in value)
    return value
