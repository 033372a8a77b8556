"""A network's input: made of a clip, and where its pixels lie in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from nlviz.affinity.grid import Axis, TokenGrid
from nlviz.affinity.token_boxes import TokenBoxes
from nlviz.clips.clip import Box, Clip
from nlviz.clips.graph import Graph
from nlviz.clips.point import Shape
from nlviz.clips.text import Text
from nlviz.errors import NlvizError
from nlviz.families.reading.input_spec import InputSpec
from nlviz.networks.first_layer import first_channels
from nlviz.picture import resized


class Picture:
    """Stands for the picture, ``Prepared.tensor``, among the arguments of a network."""

    def __repr__(self) -> str:
        return "the picture"


PICTURE = Picture()
Queries = Sequence[str | int] | Literal["words", "answer"]


@dataclass(frozen=True)
class Prepared:
    """A network's input and where its pixels lie in the clip.

    Attributes:
        tensor: the picture among the input, (1, channels, T, H, W) or (T, channels, H, W).
        y, x: place of the input's rows and columns of pixels in the clip.
        clip_shape: frames, height and width of the clip.
        axes: block -> where its cells lie in the input (t, y, x), for a family that knows it before
            the forward pass.
        t: place of the input's frames among the clip's.
        args, kwargs: what the network is called with; ``PICTURE`` stands for the tensor.
        order: axes of the network's own tensor in the order of ``tensor``; None where they are the
            same.
        notes: one sentence for each thing that a user must know of it.
        text: of a network of words, the text as it sees it; else None.
        graph: the clip where it is a graph, whose nodes are the tokens.
        boxes: of a network that takes boxes, those that its queries are, in the clip; else None.
    """

    tensor: Tensor
    y: Axis
    x: Axis
    clip_shape: Shape
    axes: Mapping[str, tuple[Axis, Axis, Axis]] = field(default_factory=dict)
    t: Axis = field(default_factory=Axis)
    args: tuple[Any, ...] = (PICTURE,)
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    order: tuple[int, ...] | None = None
    notes: tuple[str, ...] = ()
    text: Text | None = None
    graph: Graph | None = None
    boxes: TokenBoxes | None = None

    @property
    def alone(self) -> bool:
        """Whether the network takes the picture and nothing beside it."""
        return self.args == (PICTURE,) and not self.kwargs

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells this input from others of its shape whose tokens lie elsewhere."""
        return ()

    def box_in_input(self, box: Box) -> Box:
        """Return a box of the clip in frames and pixels of the input.

        >>> picture = torch.zeros(1, 3, 2, 5, 7)
        >>> prepared = Prepared(picture, Axis(2.0, 0.5), Axis(3.0, 1.0), (2, 10, 21))
        >>> prepared.box_in_input((1, 2, 3, 6, 9))
        (1.0, 1.0, 1.0, 3.0, 3.0)
        """
        frame, *edges = box
        axes = (self.y, self.x, self.y, self.x)
        # Edges lie half a pixel before the centre of the pixel that begins there.
        found = [
            (e - 0.5 - axis.origin) / axis.stride + 0.5 for e, axis in zip(edges, axes, strict=True)
        ]
        return ((frame - self.t.origin) / self.t.stride, found[0], found[1], found[2], found[3])

    def box_in_clip(self, box: Box) -> Box:
        """Return a box of the input in frames and pixels of the clip."""
        frame, *edges = box
        axes = (self.y, self.x, self.y, self.x)
        found = [
            (e - 0.5) * axis.stride + axis.origin + 0.5 for e, axis in zip(edges, axes, strict=True)
        ]
        return (frame * self.t.stride + self.t.origin, found[0], found[1], found[2], found[3])

    def line(self, grid: TokenGrid) -> TokenGrid:
        """Return where tokens lie as what they are: of a text, its words."""
        return grid

    @property
    def laid(self) -> Mapping[str, Tensor] | None:
        """Pictures that say where their pixels lie in the clip, where axes of ``tensor`` do not."""
        return None

    @property
    def size(self) -> Shape:
        """Frames, rows and columns that places of tokens are counted in."""
        tensor = self.tensor
        frames = tensor.shape[2] if tensor.dim() == 5 else len(tensor)
        return int(frames), int(tensor.shape[-2]), int(tensor.shape[-1])

    def asking(self, queries: Queries | None, generate: int) -> Prepared:
        """Return the input with what else is asked of it: rows of some words, an answer.

        Args:
            queries: words, by name or number, or ``"words"``, or those of the ``"answer"``.
            generate: how many words the network is to write first.

        Raises:
            NlvizError: when it has no words beside a picture.
        """
        if queries is not None or generate:
            what = "queries= chooses words" if queries is not None else "generate= asks for words"
            raise NlvizError(
                f"{what} of a network that takes a clip and a text, this one does not; leave it out"
            )
        return self

    def call(self, net: nn.Module, tensor: Tensor) -> Any:
        """Run a network on the input, with another picture in the place of ``tensor``.

        Args:
            net: the network.
            tensor: the picture, of this input's shape or of another size, on the network's device.

        >>> still = Prepared(torch.zeros(1, 3, 2, 5, 7), Axis(), Axis(), (2, 5, 7))
        >>> still.call(nn.Flatten(), still.tensor).shape
        torch.Size([1, 210])
        """
        given = tensor
        if self.order is not None:
            given = tensor.permute(*(self.order.index(d) for d in range(len(self.order))))

        return net(*_filled(self.args, given), **_filled(dict(self.kwargs), given))


def _filled(value: Any, picture: Tensor) -> Any:
    """Return arguments with the picture in its place, all on its device."""
    # Not a closure that calls itself: that is a cycle, and would keep the picture and its graph.
    if value is PICTURE:
        return picture
    if isinstance(value, Tensor):  # other numbers in the type of the picture, too
        return value.to(picture if value.is_floating_point() else picture.device)
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(_filled(v, picture) for v in value)
    if isinstance(value, dict):
        return {key: _filled(v, picture) for key, v in value.items()}
    return value


def prepare(clip: Clip, spec: InputSpec, net: nn.Module | None = None) -> Prepared:
    """Resize, normalise and lay out a clip; the whole picture is kept, without a crop.

    Args:
        clip: the input.
        spec: what is to be made of it.
        net: the network that takes it, whose first convolution tells how many channels it takes
            where ``spec`` leaves that open.

    >>> clip = Clip.from_frames(np.zeros((2, 90, 160, 3), np.uint8))
    >>> prepare(clip, InputSpec(size=64, multiple=16)).tensor.shape
    torch.Size([1, 3, 2, 64, 112])
    """
    _, height, width = clip.shape
    scale = spec.size / min(height, width)
    h, w = spec.sides or (
        max(round(n * scale / spec.multiple), 1) * spec.multiple for n in (height, width)
    )
    small = np.stack([resized(f, (h, w)) for f in clip.frames])
    grey = spec.is_grey
    notes: tuple[str, ...] = ()
    if not grey and spec.channels is None and net is not None and first_channels(net) == 1:
        grey = True
        notes = ("The network takes one channel: it is given the luminance of the clip.",)
    if grey:
        small = np.stack([cv2.cvtColor(f, cv2.COLOR_RGB2GRAY)[..., None] for f in small])
    elif spec.channels == "bgr":
        small = small[..., ::-1].copy()
    x = torch.from_numpy(small).permute(3, 0, 1, 2).float()  # (3 or 1, T, h, w)
    mean, std = (torch.tensor(v)[: len(x)].view(-1, 1, 1, 1) for v in spec.normalisation())
    x = x.sub_(mean).div_(std)
    tensor = x.transpose(0, 1).contiguous() if spec.layout == "frames" else x[None]
    # Pixel i of the input covers the clip from i / f to (i + 1) / f: centres shift by half pixels.
    y, x_ = (Axis(n / m, (n / m - 1) / 2) for n, m in ((height, h), (width, w)))
    order = (0, 2, 1, 3, 4) if spec.layout == "frames first" else None
    return Prepared(tensor, y, x_, clip.shape, order=order, notes=notes)


def place(axis: Axis, in_clip: Axis) -> Axis:
    """Return an axis given in the network's input as one in the clip."""
    return axis.placed(scale=in_clip.stride, offset=in_clip.origin)
