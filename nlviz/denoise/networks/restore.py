"""The learned denoisers: two bundled networks that differ in one block, and the affinity of one.

The non-local network takes y_i = 1/C(x) sum_j f(x_i, x_j) g(x_j) of Wang et al. 2018 (arXiv
1711.07971) over features of the noisy picture, with f = exp(s theta_i . phi_j), theta and phi of
unit length and s learned; its twin looks at each query's own cell instead. What they are and saw is
in ``assets/weights/denoiser-*.json``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import lru_cache
from typing import get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise
from nlviz.affinity.support import Support, Window
from nlviz.denoise.image import Image, PlaneArray, to_planes
from nlviz.denoise.networks.tiles import BLOCK, MARGIN, Control, Embeddings, run, tiles
from nlviz.denoise.ranges import Given, range_of
from nlviz.errors import NlvizError
from nlviz.networks.denoising import STRIDE, BlockKind, DenoisingNet
from nlviz.networks.weights import load_into, read_weights
from nlviz.progress import Listener, Progress
from nlviz.resources import asset

TRAINED_SIGMA = 55 / 255  # the strongest noise that the networks know, where white is 1
NAME = "learned-nonlocal"

Index = npt.NDArray[np.int64]


@lru_cache(maxsize=4)
def load(kind: BlockKind, *, device: str | None = None) -> DenoisingNet:
    """Return a bundled network, in evaluation; the same one each time, so leave it as it is.

    Raises:
        NlvizError: when there is no such network.
        WeightsMismatch: when the file is not the one that its card describes.

    >>> load("nonlocal").kind
    'nonlocal'
    """
    if kind not in get_args(BlockKind):
        raise NlvizError(f"a learned denoiser is local or nonlocal, got {kind!r}")
    path = asset(f"weights/denoiser-{kind}.safetensors")
    card = json.loads(path.with_suffix(".json").read_text("utf-8"))
    net = DenoisingNet(kind)
    load_into(net, read_weights(path, sha256=card["sha256"]), source=path.name)
    return net.eval().requires_grad_(False).to(device or "cpu")


@torch.no_grad()
def restore(
    planes: PlaneArray,
    sigma: float,
    kind: BlockKind | DenoisingNet,
    *,
    control: Control | None = None,
    device: str | None = None,
    progress: Listener | None = None,
) -> PlaneArray:
    """Return planes without their noise.

    Convolutions run as on the whole picture, in tiles where it is large; the non-local block runs
    in blocks (see ``nlviz.denoise.networks.tiles``). An odd side is mirrored by one pixel. Noise
    beyond
    what training saw is brought into its range by scaling the picture.

    Args:
        planes: (C, H, W) with C 1 (grey) or 3 (RGB), in units where white is 1; never clipped.
        sigma: standard deviation of the noise in the same units; at 0 the planes come back.
        kind: ``local``, ``nonlocal`` or a network.
        control: put another affinity in the place of the learned one: ``uniform`` over the keys
            that a query reaches, or ``own``, each query's own cell.
        device: "cpu" by default.
        progress: called with a sentence and a share between the parts of the work; what it raises
            stops them.

    Returns:
        Planes of the same shape and type.

    Raises:
        NlvizError: when the planes or sigma are invalid, or a control is asked of the local
                network.

    >>> restore(np.full((1, 5, 7), 0.5), 0.1, "nonlocal").shape
    (1, 5, 7)
    """
    net = load(kind, device=device) if isinstance(kind, str) else kind
    _check(planes, sigma)
    if control is not None and control not in get_args(Control):
        raise NlvizError(f"a control is uniform or own, got {control!r}")
    if control is not None and net.kind == "local":
        raise NlvizError("the local network has no affinity to replace; take the non-local one")
    if sigma == 0:
        return planes.copy()
    out = np.empty_like(planes)
    for rows, columns, restored, _ in _tiled(net, planes, sigma, control, progress):
        height, width = out[:, rows, columns].shape[1:]
        out[:, rows, columns] = restored[:, :height, :width]
    return out


def learned_affinity(
    image: Image,
    *,
    sigma: float,
    data_range: Given = None,
    device: str | None = None,
    progress: Listener | None = None,
) -> EmbeddedAffinity:
    """Return the affinity of the non-local network on a picture, as ``restore`` computes it.

    Args:
        image: (H, W) or (H, W, 1 or 3), as for ``denoise``.
        sigma: of its noise, in its own units.
        data_range: the value of white; inferred from the type and the values by default.
        device: where the network runs; theta and phi are on the CPU.
        progress: as in ``restore``.

    Raises:
        NlvizError: when the image or sigma is invalid.

    >>> learned_affinity(np.zeros((70, 90), np.uint8), sigma=25)
    Affinity(learned-nonlocal, embedded_gaussian, 1575 queries (1x35x45) x 1575 keys)
    """
    planes = to_planes(image)
    ends = range_of(np.asarray(image), data_range, sigma=sigma)
    values = planes.values - np.float32(ends.low) if ends.low else planes.values
    if len(values) not in (1, 3):
        raise NlvizError(
            f"the learned network has 1 or 3 channels, this picture has {len(values)}; take one"
        )
    return affinity_of_planes(
        values / np.float32(ends.span), sigma / ends.span, device=device, progress=progress
    )


@torch.no_grad()
def affinity_of_planes(
    planes: PlaneArray,
    sigma: float,
    net: DenoisingNet | None = None,
    *,
    device: str | None = None,
    progress: Listener | None = None,
) -> EmbeddedAffinity:
    """Return the affinity of a non-local network on planes (C, H, W) where white is 1.

    Args:
        planes: as in ``restore``.
        sigma: as in ``restore``.
        net: the network; the bundled one by default.
        device: where the bundled network runs; theta and phi are on the CPU.
        progress: as in ``restore``.

    Raises:
        NlvizError: when the planes or sigma are invalid, or the network has no non-local block.
    """
    net = load("nonlocal", device=device) if net is None else net
    if net.kind == "local":
        raise NlvizError("the local network has no affinity; take the non-local one")
    _check(planes, sigma)
    height, width = planes.shape[1:]
    shape = (-(-height // STRIDE), -(-width // STRIDE))
    parts: list[Tensor] = []
    for rows, columns, _, found in _tiled(net, planes, sigma, None, progress):
        assert found is not None  # for the type checker: the network is non-local
        if not parts:
            parts = [torch.empty(*shape, e.shape[-1]) for e in found]
        at = tuple(slice(s.start // STRIDE, -(-s.stop // STRIDE)) for s in (rows, columns))
        for whole, part in zip(parts, found, strict=True):
            whole[at] = part.cpu()
    theta, phi, g, y = (part.flatten(0, 1)[None] for part in parts)
    scale = net.block.logit_scale()  # type: ignore[operator]
    grid = TokenGrid((1, *shape), (1.0, STRIDE, STRIDE), (0.0, (STRIDE - 1) / 2, (STRIDE - 1) / 2))
    return EmbeddedAffinity(
        name=NAME,
        pairwise=Pairwise("embedded_gaussian", scale=float(scale)),
        theta=theta,
        phi=phi,
        queries=grid,
        keys=grid,
        support=Support(window=Window(rows=MARGIN, columns=MARGIN, block=BLOCK)),
        values=g,
        output=y,
        clip_shape=(1, height, width),
        note=f"Queries and keys are cells of {STRIDE} x {STRIDE} pixels; the queries of a block of "
        f"{BLOCK} x {BLOCK} cells reach the cells within {MARGIN} around it.",
    )


def _tiled(
    net: DenoisingNet,
    planes: PlaneArray,
    sigma: float,
    control: Control | None,
    progress: Listener | None,
) -> Iterator[tuple[slice, slice, PlaneArray, Embeddings | None]]:
    """Yield (rows, columns) of pixels, the restored planes there, and the embeddings there."""
    like = next(net.parameters())
    gain = max(1.0, sigma / TRAINED_SIGMA)
    height, width = planes.shape[1:]
    parts = tiles(height + height % STRIDE, width + width % STRIDE)
    for number, (rows, columns) in enumerate(parts):
        report = Progress.of(progress).part(number / len(parts), (number + 1) / len(parts))
        y, x = (
            _mirrored(np.arange(s.start * STRIDE, s.stop * STRIDE), size)
            for s, size in ((rows, height), (columns, width))
        )
        noisy = torch.from_numpy(planes[:, y[:, None], x].astype(np.float32) / gain)
        restored, found = run(
            net,
            noisy.expand(3, -1, -1)[None].to(like),
            sigma / gain,
            control=control,
            report=report,
        )
        if found is not None:
            found = Embeddings(*(e[rows.inner, columns.inner] for e in found))
        if len(planes) == 1:
            restored = restored.mean(1, keepdim=True)
        inner = (_pixels(rows.inner), _pixels(columns.inner))
        yield (
            slice(rows.first * STRIDE, min(rows.end * STRIDE, height)),
            slice(columns.first * STRIDE, min(columns.end * STRIDE, width)),
            (restored[0][:, inner[0], inner[1]] * gain).cpu().numpy(),
            found,
        )
    if progress is not None:
        progress("Done", 1.0)


def _mirrored(index: Index, size: int) -> Index:
    """Return indices within an axis; one beyond its end is mirrored, without the last pixel."""
    return np.where(index < size, index, np.maximum(2 * size - 2 - index, 0))


def _pixels(cells: slice) -> slice:
    return slice(cells.start * STRIDE, cells.stop * STRIDE)


def _check(planes: PlaneArray, sigma: float) -> None:
    if planes.ndim != 3 or planes.shape[0] not in (1, 3) or not planes.size:
        raise NlvizError(f"planes have the shape (1, H, W) or (3, H, W), these have {planes.shape}")
    if not 0 <= sigma < math.inf:
        raise NlvizError(
            f"sigma must be 0 or above, and finite, got {sigma:g}; give the standard deviation of "
            "the noise"
        )
