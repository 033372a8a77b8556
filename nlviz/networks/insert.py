"""Puts a non-local block into any network."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from nlviz.affinity.pairwise import PairwiseName
from nlviz.errors import NlvizError
from nlviz.networks.block import NonLocalBlock


class _Inserted:
    """The hook that runs an inserted block on its layer's output; copies with the network."""

    def __init__(self, block: NonLocalBlock, across_frames: bool) -> None:
        self.block, self.across_frames = block, across_frames

    def __call__(self, module: nn.Module, args: Any, output: Tensor) -> Tensor:
        if self.across_frames and output.dim() == 4:
            # (T, C, h, w) of one clip -> (1, C, T, h, w) and back
            return cast(Tensor, self.block(output.transpose(0, 1)[None])[0].transpose(0, 1))
        return cast(Tensor, self.block(output))


def insert(
    net: nn.Module,
    *,
    after: str,
    pairwise: PairwiseName = "gaussian",
    across_frames: bool = True,
    channels: int | None = None,
    example: Tensor | None = None,
    **options: Any,
) -> NonLocalBlock:
    """Put a non-local block behind a layer of a network, which is unchanged until it is trained.

    The names of the network's own parameters stay; the block's are ``non_local_<after>.*``. On a
    4-D network a batch is taken for the frames of one clip (``across_frames``), so that every frame
    reaches every other.

    Args:
        net: the network.
        after: dotted name of the layer, as in ``net.named_modules()``.
        pairwise: see ``NonLocalBlock``.
        across_frames: on 4-D features, let the block see all frames of the batch at once.
        channels: of the layer's output; found by running ``example`` when not given.
        example: input for finding the channels; a small noise picture or clip by default.
        **options: more of ``NonLocalBlock``'s, ``unit_length=True`` for instance.

    Returns:
        The block.

    Raises:
        NlvizError: when there is no such layer, or its output is no 4-D or 5-D tensor.

    >>> net = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU())
    >>> block = insert(net, after="1", pairwise="dot_product")
    >>> net(torch.randn(5, 3, 16, 24)).shape, block.dimension
    (torch.Size([5, 8, 8, 12]), 3)
    """
    layers = dict(net.named_modules())
    if not after or after not in layers:
        from nlviz.errors import did_you_mean

        raise NlvizError(
            f"the network has no layer {after!r}{did_you_mean(after, [n for n in layers if n])}"
        )
    shape = _output_shape(net, layers[after], example)
    if shape is not None and len(shape) not in (4, 5):
        raise NlvizError(
            f"a block goes behind a layer whose output has 4 or 5 dimensions, {after!r} has "
            f"{len(shape)}: {shape}"
        )
    if shape is None and channels is None:
        raise NlvizError(
            f"the channels of {after!r} could not be found by running the network; give "
            "channels= or example="
        )
    three = shape is None or len(shape) == 5 or across_frames
    block = NonLocalBlock(
        channels or cast("tuple[int, ...]", shape)[1],
        dimension=3 if three else 2,
        pairwise=pairwise,
        **options,
    )
    try:
        like = next(net.parameters())
        block.to(device=like.device, dtype=like.dtype)
    except StopIteration:
        pass
    block.train(net.training)
    if any(isinstance(h, _Inserted) for h in layers[after]._forward_hooks.values()):
        raise NlvizError(f"the network has a block behind {after!r} already; one is enough")
    block.place = after
    # A Sequential would run every child it holds, so there the block lives inside the layer.
    host = next(m for m in (net, *layers[after].modules()) if not isinstance(m, nn.Sequential))
    host.add_module("non_local_" + after.replace(".", "_"), block)
    layers[after].register_forward_hook(_Inserted(block, across_frames))
    return block


def _output_shape(
    net: nn.Module, layer: nn.Module, example: Tensor | None
) -> tuple[int, ...] | None:
    """Run the network once, in eval mode and without a trace, and return a layer's output shape."""
    found: list[tuple[int, ...]] = []

    def keep(module: nn.Module, args: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            found.append(tuple(output.shape))

    tries = [example] if example is not None else _examples(net)
    modes = {m: m.training for m in net.modules()}
    hook = layer.register_forward_hook(keep)
    try:
        net.eval()
        for x in tries:
            found.clear()
            try:
                with torch.no_grad():
                    net(x)
            except Exception:  # any network, any complaint about a guessed input
                if example is not None:
                    raise
            if found:
                return found[-1]
        return None
    finally:
        hook.remove()
        for module, mode in modes.items():
            module.training = mode


def _examples(net: nn.Module) -> list[Tensor]:
    first = next((m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Conv3d))), None)
    if first is None:
        return []
    like = first.weight
    frames = (8,) if isinstance(first, nn.Conv3d) else ()
    return [
        torch.zeros(1, first.in_channels, *frames, n, n, device=like.device, dtype=like.dtype)
        for n in (64, 224)
    ]
