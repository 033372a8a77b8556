"""Residual video networks, ``networks.video_resnet`` and ``networks.slowfast``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace

from torch import Tensor, nn

from nlviz.affinity.base import Affinity
from nlviz.affinity.grid import Axis, TokenGrid
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.families.reading.adapter import (
    InputSpec,
    Prepared,
    block_affinity,
    bypassed,
    features_of,
    place,
    prepare,
)
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.hooks import Call
from nlviz.networks.slowfast import SlowFast, slow_frames
from nlviz.networks.video_resnet import Pathway, VideoResNet

LONGEST = 1024  # frames up to which the fewest that a network takes are looked for


class VideoResNetAdapter:
    """Reads the blocks of C2D, I3D, SlowOnly, TSM and SlowFast networks.

    The network's own strides, kernels and paddings say where its cells lie, to the half pixel.
    """

    family = "video resnet"
    traces = False  # the specification tells
    products = False

    def blocks(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the blocks, ``res3.1`` for the one behind residual block 1 of res3."""
        if not isinstance(net, (VideoResNet, SlowFast)):
            return {}
        return dict(net.non_local_blocks())

    def modules(self, net: nn.Module) -> dict[str, nn.Module]:
        """Return the blocks, whose input tells the grid, and their ``attend`` modules."""
        found: dict[str, nn.Module] = {}
        for name, block in self.blocks(net).items():
            assert isinstance(block, NonLocalBlock)  # for the type checker: blocks() saw to it
            found[name] = block
            found[f"{name}.attend"] = block.attend
        return found

    def prepare(self, net: nn.Module, clip: Clip, spec: InputSpec | None) -> Prepared:
        """Return (1, 3, T, H, W).

        Raises:
            NlvizError: when the clip has too few frames for the network's strides in time.
        """
        assert isinstance(net, (VideoResNet, SlowFast))  # for the type checker, as above
        frames = len(clip.frames)
        least = least_frames(net)
        if frames < least:
            raise NlvizError(
                f"this network takes a clip of {least} or more frames, this one has {frames}; take "
                "a longer video, more of its frames, or a network of single frames"
            )
        found = prepare(clip, spec or InputSpec(size=256))
        return replace(found, axes=axes(net, frames))

    def read(
        self, name: str, block: nn.Module, calls: Mapping[str, Call], prepared: Prepared
    ) -> Affinity:
        """Return the affinity of one of the blocks."""
        assert isinstance(block, NonLocalBlock)
        t, y, x = prepared.axes[name]
        t_cells, h, w = calls[name].args[0].shape[2:]
        queries = TokenGrid.of_axes((t_cells, h, w), t, place(y, prepared.y), place(x, prepared.x))
        return block_affinity(
            name,
            block,
            calls[f"{name}.attend"],
            queries=queries,
            clip_shape=prepared.clip_shape,
        )

    def features(self, name: str, block: nn.Module, calls: Mapping[str, Call]) -> Tensor:
        """Return what entered the block."""
        return features_of(calls[name].args[0])

    def bypass(self, net: nn.Module, name: str) -> AbstractContextManager[None]:
        """Return a context in which the block returns what it was given."""
        return bypassed(self.blocks(net)[name])


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
