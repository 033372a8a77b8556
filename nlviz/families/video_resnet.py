"""Residual video networks, ``networks.video_resnet`` and ``networks.slowfast``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

from torch import nn

from nlviz.affinity.grid import Axis, TokenGrid
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.families.family import Family, TableRow
from nlviz.families.reading.adapter import InputSpec, Prepared, place, prepare
from nlviz.families.reading.own_blocks import OwnBlockAdapter
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.hooks import Call
from nlviz.networks.slowfast import SlowFast, slow_frames
from nlviz.networks.video_resnet import Pathway, VideoResNet

LONGEST = 1024  # frames up to which the fewest that a network takes are looked for


class VideoResNetAdapter(OwnBlockAdapter):
    """Reads the blocks of C2D, I3D, SlowOnly, TSM and SlowFast networks.

    The network's own strides, kernels and paddings say where its cells lie, to the half pixel.
    """

    traces = False  # the specification has the geometry

    def blocks(self, net: nn.Module) -> dict[str, NonLocalBlock]:
        """Return the blocks, ``res3.1`` for the one behind residual block 1 of res3."""
        if not isinstance(net, (VideoResNet, SlowFast)):
            return {}
        return dict(net.non_local_blocks())

    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Return (1, 3, T, H, W).

        Raises:
            NlvizError: when the clip has too few frames for the network's strides in time.
        """
        own = cast("VideoResNet | SlowFast", net)
        frames = len(clip.frames)
        least = least_frames(own)
        if frames < least:
            raise NlvizError(
                f"this network takes a clip of {least} or more frames, this one has {frames}; take "
                "a longer video, more of its frames, or a network of single frames"
            )
        found = prepare(clip, spec or InputSpec(size=256), net)
        return replace(found, axes=axes(own, frames))

    def frames_taken(self, net: nn.Module, frames: int) -> int:
        """Return as many frames as leave one behind the strides in time, in whole slow steps."""
        own = cast("VideoResNet | SlowFast", net)
        step = own.spec.alpha if isinstance(own, SlowFast) else 1
        return -(-max(frames, least_frames(own)) // step) * step

    def completed(self, net: nn.Module, prepared: Prepared) -> Prepared:
        """Return an input with the places that the network's specification gives."""
        frames = prepared.tensor.shape[2]
        return replace(prepared, axes=axes(cast("VideoResNet | SlowFast", net), frames))

    def queries(
        self, name: str, block: NonLocalBlock, calls: Mapping[str, Call], prepared: Prepared
    ) -> TokenGrid:
        """Return the grid that the network's specification gives."""
        t, y, x = prepared.axes[name]
        shape = calls[name].args[0].shape[2:]
        t, y, x = (place(a, b) for a, b in ((t, prepared.t), (y, prepared.y), (x, prepared.x)))
        return TokenGrid.of_axes(shape, t, y, x)


def axes(net: VideoResNet | SlowFast, frames: int) -> dict[str, tuple[Axis, Axis, Axis]]:
    """Return where each block's cells lie in the network's input: t, y, x.

    >>> from nlviz.networks.video_resnet import NonLocalSpec, VideoResNetSpec
    >>> blocks = {(4, 1): NonLocalSpec()}
    >>> spec = VideoResNetSpec(depth=18, pool1_pad=0, pool2=(2, 2), non_local=blocks)
    >>> axes(VideoResNet(spec), 8)["res4.1"][:2]
    (Axis(stride=2.0, origin=0.5), Axis(stride=16.0, origin=2.0))
    """
    pathway: Pathway = net.slow if isinstance(net, SlowFast) else net
    found = {}
    for name in net.non_local_blocks():
        t, y, x = pathway.axes(int(name[3]))
        if isinstance(net, SlowFast):
            # The slow pathway's frames are spread over the clip's.
            seen = slow_frames(frames, net.spec.alpha)
            step = (frames - 1) / max(len(seen) - 1, 1)
            t = t.placed(scale=step, offset=0.0)
        found[name] = (t, y, x)
    return found


def least_frames(net: VideoResNet | SlowFast) -> int:
    """Return the fewest frames that a network takes.

    >>> from nlviz.networks.video_resnet import VideoResNetSpec
    >>> least_frames(VideoResNet(VideoResNetSpec(depth=18, stem_stride=2, pool2=(2, 2))))
    3
    """
    if isinstance(net, SlowFast):
        alpha = net.spec.alpha
        return alpha * next(n for n in range(1, LONGEST) if net.slow.frames_out(n) > 0)
    return next(n for n in range(1, LONGEST) if net.frames_out(n) > 0)


FAMILY = Family(
    name="video-resnet",
    row=TableRow(
        source="`nlviz.networks.video_resnet`, `slowfast`",
        live="C2D, I3D, SlowOnly, TSM and SlowFast, which most of these files become",
        recognised_by="`VideoResNet`, `SlowFast`",
        not_told="–",
        parity="rows",
    ),
    blocks=VideoResNetAdapter(),
    aliases=("video resnet",),
)
