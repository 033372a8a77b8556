"""Attribute one class score to cells of the input: why the network decides.

    method                 value of a cell                                            passes
    grad-cam               sum_c a_c x_c, a_c = mean over cells of d score / d x_c    1
    integrated-gradients   sum over its pixels of (x - x0) int_0^1 d score(x0 + a (x - x0)) / dx da
    occlusion              score(x) - score(x with the cell in x0)                    a cell
    legrad                 mean over layers, heads and queries of max(d score / d a_j, 0)     1

x0 is a clip in the mean colour of the normalisation (zeros, where a function made the input). Grad-
CAM is taken at what enters a block, so that both maps speak of the same features; it keeps its sign
(the original cuts it at 0). A pass with gradients takes about three times the time of a forward
pass, and the memory of all its activations; occlusion takes plain forward passes. Sources:
Selvaraju et al. 2017, "Grad-CAM", arXiv 1610.02391; Sundararajan et al. 2017, "Axiomatic
Attribution", arXiv 1703.01365; Zeiler and Fergus 2014, arXiv 1311.2901; Bousselham et al. 2024,
"LeGrad", arXiv 2404.03214 (see ``nlviz.analysis.legrad``). Integrated gradients and occlusion are
computed by Captum (https://captum.ai).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, cast, get_args

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from nlviz.affinity.grid import Axis, TokenGrid
from nlviz.analysis.legrad import check_rows, legrad
from nlviz.captures.model import Capture, Model
from nlviz.captures.placing import placed
from nlviz.captures.reading import runs_of
from nlviz.clips.clip import Clip
from nlviz.clips.point import Shape
from nlviz.clips.text import Text
from nlviz.errors import NlvizError, did_you_mean
from nlviz.families.reading.adapter import Prepared, place
from nlviz.networks.calls import Calls, block_and_run, run_name
from nlviz.networks.gradients import gradient, gradients_at
from nlviz.progress import Listener, Progress

Method = Literal["grad-cam", "integrated-gradients", "occlusion", "legrad"]
METHODS: tuple[Method, ...] = get_args(Method)
STEPS: dict[Method, int] = {
    "grad-cam": 1,
    "integrated-gradients": 24,
    "occlusion": 96,
    "legrad": 1,
}
MOST_STEPS = 4096

Scores = Callable[[Tensor], Tensor]
Values = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Attribution:
    """What raised and what lowered one class score, on cells of the clip.

    Attributes:
        method: one of ``METHODS``.
        clip: the input.
        block: at whose input (Grad-CAM) or on whose cells (integrated gradients); not used by
            occlusion, whose cells are its windows, and LeGrad, which takes all attention.
        target: index of the class.
        label: its name.
        score: its score before the softmax.
        values: (t, h, w) float32; above 0 what speaks for the class, below 0 against it. In units
            of the score, but for Grad-CAM; of LeGrad, of the score for the whole weight of a row.
        grid: where the values lie.
        passes: how often the network ran.
        seconds: how long that took.
        baseline: the score of a clip in the mean colour, for integrated gradients.
        layers: names of the attention that LeGrad is the mean over, in forward order.
        left_out: of attention that has no part in it, why.
    """

    method: Method
    clip: Clip
    block: str
    target: int
    label: str
    score: float
    values: Values
    grid: TokenGrid
    passes: int
    seconds: float
    baseline: float | None = None
    layers: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def signed(self) -> bool:
        """Whether something speaks against the class."""
        return bool((self.values < 0).any())

    @property
    def gap(self) -> float | None:
        """How far integrated gradients are from adding up to score - baseline (0 is exact)."""
        if self.baseline is None:
            return None
        return float(self.values.sum(dtype=np.float64)) - (self.score - self.baseline)

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.grid.shape))
        return f"Attribution({self.method} of {self.label!r}, {shape}, {self.passes} passes)"


def attribution(
    model: Model,
    source: Clip | Capture,
    *,
    method: Method = "grad-cam",
    block: str | None = None,
    target: int | str | None = None,
    steps: int | None = None,
    progress: Listener | None = None,
) -> Attribution:
    """Attribute one class score of a network to cells of its input.

    The network is left as it was, and other threads wait for their turn; gradients exist in here
    alone.

    Args:
        model: the network.
        source: a clip, or this model's capture of it, which saves a forward pass.
        method: one of ``METHODS``.
        block: the block whose input or cells are taken; by default the last.
        target: index or name of the class; by default the most probable one.
        steps: passes through the network, for integrated gradients (24) and, at most, occlusion
            (96).
        progress: called with a sentence and a share in [0, 1] before each pass; an exception it
            raises stops the work.

    Raises:
        NlvizError: when the network gives no class scores, or there is no such class.
        UnknownBlock: when there is no such block.
        OutOfMemory: when the device's memory does not suffice.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=96)
    >>> found = attribution(nlviz.load_model("lite-nl"), clip)
    >>> found.values.shape, found.grid.shape, found.passes
    ((1, 14, 21), (1, 14, 21), 1)
    """
    if method not in METHODS:
        raise NlvizError(f"an attribution is one of {', '.join(METHODS)}; got {method!r}")
    count = STEPS[method] if steps is None or STEPS[method] == 1 else steps
    if not 1 <= count <= MOST_STEPS:
        raise NlvizError(f"steps must be between 1 and {MOST_STEPS}, got {count}")
    report = Progress.of(progress)
    capture = source
    if isinstance(capture if isinstance(capture, Clip) else capture.clip, Text):
        raise NlvizError(
            "an attribution is to the pixels of a clip, and a text has none; look at the rows of "
            "its words instead"
        )
    if isinstance(capture, Clip):
        capture = model.capture(capture, progress=report.part(0.0, 0.2))
    if capture.logits is None:
        raise NlvizError(
            "attribution needs a network that gives one score per class, "
            f"{model.about.name} gives something else; look at the block's own map instead"
        )
    block = block or list(capture.affinities)[-1]
    grid = replace(capture.affinities[block].queries, prefix=0)
    at, label = class_of(capture, target)
    if method == "legrad":
        check_rows(capture.affinities, model.about.name)
    prepared = model.prepared(capture.clip)
    if prepared.tensor.dim() not in (4, 5):
        raise NlvizError(
            "attribution needs an input (1, 3, T, H, W) or (T, 3, H, W), this network takes "
            f"{tuple(prepared.tensor.shape)}"
        )
    model.check_memory(prepared, gradient=method != "occlusion")
    work = _Work(model, prepared, at, count, report)
    began = time.perf_counter()
    baseline, whole = None, None
    with model.exclusive(capture.clip):
        x = prepared.tensor.to(model.device)
        if method == "grad-cam":
            values = work.grad_cam(x, block, grid, {*capture.affinities, *capture.refused})
        elif method == "integrated-gradients":
            values, baseline = work.integrated(x, prepared, grid)
        elif method == "legrad":
            whole = legrad(model, prepared, lambda one: work.score(one)[at])
            values, grid = whole.values, _declared(model, capture, whole.grid)
        else:
            values, grid = work.occlusion(x, prepared)
    return Attribution(
        method, capture.clip, block, at, label, float(capture.logits[at]),
        values, grid, work.passes, time.perf_counter() - began, baseline,
        () if whole is None else tuple(whole.layers),
        MappingProxyType({}) if whole is None else whole.left_out,
    )  # fmt: skip


def class_of(capture: Capture, target: int | str | None) -> tuple[int, str]:
    """Return index and name of a class, of the most probable one by default.

    Raises:
        NlvizError: when there is no such class.
    """
    logits = cast(Tensor, capture.logits)
    classes = int(logits.numel())
    labels = capture.labels if len(capture.labels) == classes else ()
    if target is None:
        target = int(logits.argmax())
    if isinstance(target, str):
        if target not in labels:
            raise NlvizError(f"no class is called {target!r}{did_you_mean(target, labels)}")
        target = labels.index(target)
    if not 0 <= target < classes:
        raise NlvizError(f"a class is between 0 and {classes - 1}, got {target}")
    return target, labels[target] if labels else f"class {target}"


def _declared(model: Model, capture: Capture, grid: TokenGrid) -> TokenGrid:
    """Return where a family says that cells lie, in the place of where they were followed to."""
    keys = [] if model.adapter.watches else [a.keys for a in capture.affinities.values()]
    same = (g for g in keys if g.kind == "grid" and g.shape == grid.shape)
    return replace(next(same, grid), prefix=0, line=None)


class _Work:
    """The passes of one attribution; counts and announces them."""

    def __init__(
        self,
        model: Model,
        prepared: Prepared,
        target: int,
        count: int,
        report: Callable[[str, float], None],
    ) -> None:
        self.model, self.prepared = model, prepared
        self.target, self.count, self.report = target, count, report
        self.passes = 0
        self._began = time.perf_counter()

    def scores(self, batch: Tensor) -> Float[Tensor, "n classes"]:
        """Return the class scores of whole network inputs, (n, *input), one pass each.

        Captum works on a batch; a network of frames has its frames there, which belong together.
        """
        return torch.stack([self.score(x) for x in batch.unbind()])

    def score(self, x: Tensor) -> Float[Tensor, " classes"]:
        """Return the class scores of one network input, the mean over a batch of frames."""
        total = max(self.count, self.passes + 1)
        left = (time.perf_counter() - self._began) / max(self.passes, 1) * (total - self.passes)
        when = f", about {math.ceil(left)} s left" if self.passes else ""
        self.report(f"Pass {self.passes + 1} of {total}{when}", 0.2 + 0.8 * self.passes / total)
        self.passes += 1
        # A copy, because networks that normalise in place may not do so to a leaf with a gradient.
        output = self.model.run(self.prepared, x.clone())
        return cast(Tensor, self.model.class_scores(output, self.prepared).logits)

    def gradient(self, x: Tensor) -> Tensor:
        """Return the gradient of the class's score at one network input."""
        return gradient(self.model.net, lambda one: self.score(one)[self.target], x)

    def grad_cam(self, x: Tensor, name: str, grid: TokenGrid, shown: Container[str]) -> Values:
        adapter = self.model.adapter
        own = block_and_run(name)[0]
        blocks = {own: adapter.blocks(self.model.net)[own]}
        # What went in is recorded as for a capture; the gradient arrives there afterwards.
        calls = Calls({})

        def scored(one: Tensor) -> Tensor:
            nonlocal calls
            seen.begin()
            with self.model.recording() as calls:
                return self.score(one)[self.target]

        with gradients_at(blocks[own]) as seen:
            gradient(self.model.net, scored, x)
        if adapter.watches:  # the order of tokens is the network's own
            calls = placed(adapter, self.model.net, calls, self.prepared)
        entered = [run.args[0] for run in calls.runs(own)]
        # Several runs with one map saw parts of the clip, as the capture found out.
        walked = () if len(entered) == 1 or run_name(own, 2) in shown else (own,)

        def laid_out(firsts: Sequence[Tensor]) -> Float[Tensor, "channels t h w"]:
            runs = runs_of(blocks, calls.given(own, firsts), walked)
            run = next(run for run in runs if run.name == name)
            found = adapter.features(own, blocks[own], run.calls)
            if found is None:
                raise NlvizError(f"{name} has no features that queries and keys are both made of")
            return found.detach().float()

        arrived = seen.of_calls(len(entered))
        if bool(laid_out([torch.zeros_like(t) for t in arrived]).any()):
            raise NlvizError(
                f"{name} takes its features from elsewhere than its first argument; take "
                "integrated-gradients or occlusion"
            )
        weights = laid_out(arrived).mean((1, 2, 3), keepdim=True)
        values = (weights * laid_out(entered)).sum(0)
        if tuple(values.shape) != grid.shape:
            raise NlvizError(
                f"what enters {name} has {tuple(values.shape)} cells, its queries {grid.shape}; "
                "take occlusion, which needs no block"
            )
        return cast(Values, values.cpu().numpy())

    def integrated(self, x: Tensor, prepared: Prepared, grid: TokenGrid) -> tuple[Values, float]:
        from captum.attr import IntegratedGradients

        self.count += 1
        with torch.no_grad():
            baseline = float(self.score(torch.zeros_like(x))[self.target])
        method = IntegratedGradients(self.scores)
        method.gradient_func = self._gradients
        pixels = method.attribute(
            x[None],
            baselines=torch.zeros_like(x)[None],
            target=self.target,
            n_steps=self.count - 1,
            internal_batch_size=1,
        )[0]
        return _summed(_by_frame(pixels).sum(1), prepared, grid), baseline

    def _gradients(self, forward_fn: Any, inputs: Any, *_: Any, **__: Any) -> tuple[Tensor, ...]:
        """Return the gradient at each of a batch of inputs, as Captum asks for it."""
        return tuple(torch.stack([self.gradient(x) for x in batch.unbind()]) for batch in inputs)

    def occlusion(self, x: Tensor, prepared: Prepared) -> tuple[Values, TokenGrid]:
        from captum.attr import Occlusion

        t, h, w = _by_frame(x)[:, 0].shape
        window = windows((t, h, w), most=self.count)
        shape: Shape = tuple(-(-n // k) for n, k in zip((t, h, w), window, strict=True))  # type: ignore[assignment]
        self.count = math.prod(shape) + 1
        kt, ky, kx = window
        c = x.shape[1]
        sliding = (1, c, kt, ky, kx) if x.dim() == 5 else (kt, c, ky, kx)
        with torch.no_grad():
            values = Occlusion(self.scores).attribute(
                x[None], sliding_window_shapes=sliding, strides=sliding, baselines=0,
                target=self.target,
            )[0]  # fmt: skip
        grid = TokenGrid.of_axes(
            shape,
            *(
                place(Axis(float(k), (k - 1) / 2), axis)
                for k, axis in zip(window, (Axis(), prepared.y, prepared.x), strict=True)
            ),
        )
        return cast(Values, _by_frame(values)[::kt, 0, ::ky, ::kx].float().cpu().numpy()), grid


def windows(shape: Shape, *, most: int) -> Shape:
    """Return the smallest window (frames, rows, columns) of which ``most`` or fewer cover a clip.

    Windows are about square, and four share the time where there are as many frames.

    >>> windows((8, 224, 400), most=96)
    (2, 56, 67)
    """
    t, h, w = shape
    in_time = min(t, 4, most)
    in_space = most // in_time
    down = min(max(round(math.sqrt(in_space * h / w)), 1), in_space, h)
    across = min(max(in_space // down, 1), w)
    return -(-t // in_time), -(-h // down), -(-w // across)


def _by_frame(x: Tensor) -> Float[Tensor, "t channels h w"]:
    return x[0].transpose(0, 1) if x.dim() == 5 else x


def _summed(pixels: Float[Tensor, "t h w"], prepared: Prepared, grid: TokenGrid) -> Values:
    """Return the sums over the cells of a grid; a pixel belongs to the nearest cell."""
    summed = pixels.double()
    axes = (Axis(), prepared.y, prepared.x)
    for dim, (axis, cells, n) in enumerate(zip(axes, grid.axes, grid.shape, strict=True)):
        cell = torch.from_numpy(cells.nearest(axis.centres(summed.shape[dim]), n))
        out = summed.new_zeros([*summed.shape[:dim], n, *summed.shape[dim + 1 :]])
        summed = out.index_add_(dim, cell.to(summed.device), summed)
    return cast(Values, summed.float().cpu().numpy())
