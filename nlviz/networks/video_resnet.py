"""Residual networks over clips: C2D, I3D, SlowOnly and TSM, with non-local blocks anywhere.

Architectures: Wang et al. 2018, arXiv 1711.07971 (C2D and I3D with non-local blocks); Feichtenhofer
et al. 2019, arXiv 1812.03982 (SlowOnly); Lin, Gan and Han 2019, arXiv 1811.08383 (temporal shift).
The temporal kernel of a bottleneck is on its first 1x1 convolution, its spatial stride on the 3x3.

    stem.conv  stem.bn  res2.0.a  res2.0.a_bn ... res5.2.c_bn  res3.1.nl.theta  head
"""

from __future__ import annotations

from typing import cast

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.affinity.grid import Axis
from nlviz.errors import NlvizError
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.products import max_pool
from nlviz.networks.video_resnet_spec import STAGE_SIZES as STAGE_SIZES
from nlviz.networks.video_resnet_spec import NonLocalSpec as NonLocalSpec
from nlviz.networks.video_resnet_spec import Place as Place
from nlviz.networks.video_resnet_spec import VideoResNetSpec as VideoResNetSpec

FOLDS = 8  # one in this many channels is shifted each way (TSM)

Clips = Float[Tensor, "batch 3 t h w"]
Triple = tuple[int, int, int]


class MaxPool(nn.MaxPool3d):
    """``nn.MaxPool3d``, faster where no gradient is asked for; see ``products.max_pool``."""

    def __init__(self, kernel: Triple, stride: Triple, pad: Triple = (0, 0, 0)) -> None:
        super().__init__(kernel, stride, pad)
        self.windows = kernel, stride, pad

    def forward(self, x: Tensor) -> Tensor:
        """Return the maximum over windows."""
        return max_pool(x, *self.windows)


class Stem(nn.Module):
    """7x7 convolution of stride 2, normalisation, ReLU, and 3x3 max-pooling of stride 2."""

    def __init__(self, spec: VideoResNetSpec, width: int) -> None:
        super().__init__()
        k, pad = spec.stem_kernel, spec.pool1_pad
        self.conv = nn.Conv3d(
            3, width, (k, 7, 7), (spec.stem_stride, 2, 2), (k // 2, 3, 3), bias=False
        )
        self.bn = nn.BatchNorm3d(width, eps=spec.norm_eps)
        kernel, stride = spec.pool1
        self.pool = MaxPool((kernel, 3, 3), (stride, 2, 2), (0, pad, pad))

    def forward(self, clip: Clips) -> Tensor:
        """Return features at stride 4 in space."""
        pooled: Tensor = self.pool(F.relu(self.bn(self.conv(clip)), inplace=True))
        return pooled


class Residual(nn.Module):
    """One residual block, and the non-local block behind its last ReLU where there is one."""

    def __init__(
        self,
        inputs: int,
        inner: int,
        outputs: int,
        *,
        bottleneck: bool,
        temporal: int,
        stride: int,
        shift: bool,
        eps: float,
    ) -> None:
        super().__init__()
        k, time = (1, 3)[not bottleneck], (temporal // 2,)
        space = (k // 2,) * 2
        first = (1, 1, 1) if bottleneck else (1, stride, stride)
        self.shift = shift
        self.a = nn.Conv3d(inputs, inner, (temporal, k, k), first, time + space, bias=False)
        self.a_bn = nn.BatchNorm3d(inner, eps=eps)
        second = (1, stride, stride) if bottleneck else (1, 1, 1)
        self.b = nn.Conv3d(inner, inner, (1, 3, 3), second, (0, 1, 1), bias=False)
        self.b_bn = nn.BatchNorm3d(inner, eps=eps)
        if bottleneck:
            self.c = nn.Conv3d(inner, outputs, 1, bias=False)
            self.c_bn = nn.BatchNorm3d(outputs, eps=eps)
        if inputs != outputs or stride != 1:
            self.shortcut = nn.Conv3d(inputs, outputs, 1, (1, stride, stride), bias=False)
            self.shortcut_bn = nn.BatchNorm3d(outputs, eps=eps)
        self.bottleneck, self.projects = bottleneck, inputs != outputs or stride != 1
        self.nl: nn.Module = nn.Identity()

    def forward(self, x: Float[Tensor, "batch inputs t h w"]) -> Tensor:
        """Return the block's output."""
        y = F.relu(self.a_bn(self.a(shifted(x) if self.shift else x)), inplace=True)
        y = self.b_bn(self.b(y))
        if self.bottleneck:
            y = self.c_bn(self.c(F.relu(y, inplace=True)))
        short = self.shortcut_bn(self.shortcut(x)) if self.projects else x
        out: Tensor = self.nl(F.relu(y + short, inplace=True))
        return out


class Pathway(nn.Module):
    """Stem and stages of one network over clips, without its head.

    Args:
        spec: how it is put together.
        width: channels of the stem; 64 in a whole network, fewer in SlowFast's fast pathway.
        joined: channels that another pathway adds to the input of res2, res3, res4 and res5.
    """

    def __init__(
        self, spec: VideoResNetSpec, *, width: int = 64, joined: tuple[int, ...] = (0, 0, 0, 0)
    ) -> None:
        super().__init__()
        if spec.depth not in STAGE_SIZES:
            raise NlvizError(
                f"the depth of a ResNet here is one of {', '.join(map(str, STAGE_SIZES))}, got "
                f"{spec.depth}"
            )
        self.spec = spec
        bottleneck = spec.depth >= 50
        sizes = dict(zip((2, 3, 4, 5), STAGE_SIZES[spec.depth], strict=True))
        self._check_places(spec, sizes)
        self.stem = Stem(spec, width)
        inputs = width
        for stage, extra in zip(sizes, joined, strict=True):
            inner = width * 2 ** (stage - 2)
            outputs = inner * 4 if bottleneck else inner
            blocks = []
            # TSM shifts every second block of a ResNet with 23 blocks in res4.
            every = 2 if sizes[4] >= 23 else 1
            for i in range(sizes[stage]):
                block = Residual(
                    inputs + extra if i == 0 else outputs,
                    inner,
                    outputs,
                    bottleneck=bottleneck,
                    temporal=spec.temporal[stage][i] if stage in spec.temporal else 1,
                    stride=2 if i == 0 and stage > 2 else 1,
                    shift=spec.shift and i % every == 0,
                    eps=spec.norm_eps,
                )
                options = spec.non_local.get((stage, i))
                if options is not None:
                    block.nl = _non_local(outputs, options)
                blocks.append(block)
            self.add_module(f"res{stage}", nn.ModuleList(blocks))
            inputs = outputs
        self.channels = inputs
        kernel, stride = spec.pool2 or (1, 1)
        self.pool2 = MaxPool((kernel, 1, 1), (stride, 1, 1))

    def stage(self, number: int, x: Tensor) -> Tensor:
        """Return what a stage makes of its input; res2 includes the pooling behind it."""
        for block in self._residuals(number):
            x = block(x)
        return x

    def features(self, clip: Clips) -> Float[Tensor, "batch channels frames rows columns"]:
        """Return the output of res5."""
        x: Tensor = self.pool2(self.stage(2, self.stem(clip)))
        for number in (3, 4, 5):
            x = self.stage(number, x)
        return x

    def axes(self, stage: int) -> tuple[Axis, Axis, Axis]:
        """Return where the cells of a stage's output lie in the pathway's input: t, y, x."""
        spec = self.spec
        t, y = Axis(), Axis().through(kernel=7, stride=2, pad=3)
        t = t.through(kernel=spec.stem_kernel, stride=spec.stem_stride, pad=spec.stem_kernel // 2)
        y = y.through(kernel=3, stride=2, pad=spec.pool1_pad)
        for kernel, stride in (spec.pool1, *((spec.pool2,) if spec.pool2 and stage > 2 else ())):
            t = t.through(kernel=kernel, stride=stride, pad=0)
        for _ in range(3, stage + 1):
            y = y.through(kernel=3, stride=2, pad=1)
        return t, y, y

    def frames_out(self, frames: int) -> int:
        """Return how many frames of features res3 has for a clip; below 1 it is too short.

        >>> Pathway(VideoResNetSpec(depth=18, pool2=(2, 2))).frames_out(9)
        4
        """
        spec = self.spec
        n = (frames + spec.stem_kernel // 2 * 2 - spec.stem_kernel) // spec.stem_stride + 1
        for kernel, stride in (spec.pool1, spec.pool2 or (1, 1)):
            n = (n - kernel) // stride + 1
        return n

    def non_local_blocks(self) -> dict[str, NonLocalBlock]:
        """Return the blocks by name, ``res3.1`` for instance, in forward order."""
        return {
            f"res{stage}.{i}": block.nl
            for stage in (2, 3, 4, 5)
            for i, block in enumerate(self._residuals(stage))
            if isinstance(block.nl, NonLocalBlock)
        }

    def _residuals(self, stage: int) -> list[Residual]:
        return cast("list[Residual]", list(self.get_submodule(f"res{stage}").children()))

    @staticmethod
    def _check_places(spec: VideoResNetSpec, sizes: dict[int, int]) -> None:
        for stage, i in spec.non_local:
            if stage not in sizes or not 0 <= i < sizes[stage]:
                raise NlvizError(
                    f"a non-local block of R{spec.depth} stands behind a residual block of "
                    f"{', '.join(f'res{s} (0 to {n - 1})' for s, n in sizes.items())}; got "
                    f"res{stage}.{i}"
                )
        for stage, kernels in spec.temporal.items():
            if stage not in sizes or len(kernels) != sizes[stage]:
                raise NlvizError(
                    f"temporal kernels of res{stage} are one for each of its residual blocks in "
                    f"R{spec.depth}, {sizes.get(stage, 0)}; got {len(kernels)}"
                )


class VideoResNet(Pathway):
    """A residual network over clips.

    Input: (batch, 3, T, H, W), normalised as its weights want it. Output: logits, after the mean
    over all positions of all frames.

    >>> import torch
    >>> net = VideoResNet(VideoResNetSpec(depth=18, classes=7, non_local={(3, 1): NonLocalSpec()}))
    >>> net.eval()(torch.zeros(1, 3, 2, 34, 46)).shape, list(net.non_local_blocks())
    (torch.Size([1, 7]), ['res3.1'])
    """

    def __init__(self, spec: VideoResNetSpec) -> None:
        super().__init__(spec)
        self.head = nn.Linear(self.channels, spec.classes) if spec.classes else nn.Identity()

    def forward(self, clip: Clips) -> Tensor:
        """Return logits, or the features of res5 where there is no head."""
        features = self.features(clip)
        if not self.spec.classes:
            return features
        logits: Tensor = self.head(features.mean((2, 3, 4)))
        return logits


def shifted(x: Float[Tensor, "batch channels t h w"]) -> Float[Tensor, "batch channels t h w"]:
    """Return features of which an eighth comes from the next frame, an eighth from the last one.

    Zeros come in at the ends. Source: TSM, Lin et al. 2019, section 3.

    >>> import torch
    >>> x = torch.arange(3.0).expand(1, 8, 3).reshape(1, 8, 3, 1, 1)
    >>> shifted(x)[0, :3, :, 0, 0]
    tensor([[1., 2., 0.],
            [0., 0., 1.],
            [0., 1., 2.]])
    """
    n = x.shape[1] // FOLDS
    out = x.clone()
    out[:, :n, :-1], out[:, :n, -1] = x[:, :n, 1:], 0
    out[:, n : 2 * n, 1:], out[:, n : 2 * n, 0] = x[:, n : 2 * n, :-1], 0
    return out


def _non_local(channels: int, spec: NonLocalSpec) -> NonLocalBlock:
    return NonLocalBlock(
        channels,
        dimension=3,
        pairwise=spec.pairwise,
        inner=spec.inner,
        pool=spec.pool,
        pool_first=spec.pool_first,
        scale=spec.scale,
        norm=spec.norm,
        frames_per_group=spec.frames_per_group,
    )
