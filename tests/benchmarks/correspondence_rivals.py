"""What finds the same point in other frames: lite-nl and everything it has to beat.

A rival gives logits of some query cells over all cells of all frames, before its temperature.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from nlviz.networks.block import NonLocalBlock
from nlviz.networks.lite_nl import LiteNL
from nlviz.networks.weights import load_into, read_weights
from nlviz.recipes.composed import Picture
from nlviz.recipes.feature_bank import STRIDES, between, normalised

NL_MEANS_PATCHES = (9, 15, 23)


@dataclass(frozen=True, eq=False)
class Rival:
    """One way to find correspondences.

    Attributes:
        name: as in the table.
        logits: of query cells (flat indices) over all (T * h * w) cells; higher is nearer.
        scale: factor of the logits, or None to tune it.
    """

    name: str
    logits: Callable[[Tensor], Tensor]
    scale: float | None = None


class Networks:
    """lite-nl as it is bundled, the bare backbone, and the per-position control.

    Args:
        weights: file of lite-nl; the control lies beside it as ``lite-nl-control.safetensors``.
    """

    def __init__(self, weights: Path) -> None:
        """Load everything once."""
        self.trained, self.bare = LiteNL().eval(), LiteNL().eval()
        state = read_weights(weights)
        load_into(self.trained, state, source=weights.name)
        self.bare.backbone.load_state_dict(self.trained.backbone.state_dict())
        self.control = load_file(weights.with_name("lite-nl-control.safetensors"))
        torch.manual_seed(0)
        self.fresh = {
            name: NonLocalBlock(block.channels, inner=block.channels, unit_length=True, norm=False)
            for name, block in self.blocks.items()
        }

    @property
    def blocks(self) -> dict[str, NonLocalBlock]:
        """The trained blocks by name."""
        return {"stage3": self.trained.stage3, "stage4": self.trained.stage4}

    @torch.no_grad()
    def features(self, frames: Picture) -> dict[str, dict[str, Tensor]]:
        """Return (1, C, T, h, w) features that enter the blocks, by kind of network and block.

        The kinds are ``trained`` (behind lite-nl's own stage3), ``bare`` (no blocks) and
        ``control`` (stage3 replaced by the map that looks at its own position only).
        """
        clip = normalised(frames).transpose(0, 1)[None]
        bare = self.bare.block_inputs(clip)
        at3 = bare["stage3"]
        moved = self.trained.stage3(at3)[0].transpose(0, 1)
        alone = self.restored_alone("stage3", at3)[0].transpose(0, 1)
        return {
            "bare": bare,
            "trained": {
                "stage3": at3,
                "stage4": between(self.trained, moved).transpose(0, 1)[None],
            },
            "control": {
                "stage3": self.restored_alone("stage3", at3),
                "stage4": between(self.trained, alone).transpose(0, 1)[None],
            },
        }

    def restored_alone(self, name: str, x: Tensor) -> Tensor:
        """Return what the per-position control makes of (1, C, T, h, w) features."""
        weight, bias = self.control[f"{name}.weight"], self.control[f"{name}.bias"]
        return x + F.conv3d(x, weight[..., None, None, None], bias)

    def rivals(
        self, frames: Picture, kinds: dict[str, dict[str, Tensor]], name: str
    ) -> Iterator[Rival]:
        """Yield every rival on one block's grid, from `features` of the frames."""
        block, raw = self.blocks[name], kinds["bare"][name]
        with torch.no_grad():
            theta, phi, _ = block.embed(kinds["trained"][name])
            yield _product("lite-nl", theta[0, 0], phi[0, 0], scale=float(block.logit_scale()))
            yield _product("lite-nl, best temperature", theta[0, 0], phi[0, 0])
            theta, phi, _ = self.fresh[name].embed(raw)
            yield _product("untrained block", theta[0, 0], phi[0, 0])
        cells = raw[0].flatten(1).T
        unit = F.normalize(cells, dim=1)
        yield _product("raw features, cosine", unit, unit)
        centred = F.normalize(cells - cells.mean(0), dim=1)
        yield _product("raw features, centred cosine", centred, centred)
        alone = F.normalize(kinds["control"][name][0].flatten(1).T, dim=1)
        yield _product("per-position control, cosine", alone, alone)
        stride = STRIDES[name]
        t, h, w = raw.shape[2:]
        yield Rival("position only", _position(t, h, w))
        for side in NL_MEANS_PATCHES:
            logits = nl_means(frames, stride, side)
            yield Rival(f"pixel non-local means, {side} px", logits)


def nl_means(frames: Picture, stride: int, side: int) -> Callable[[Tensor], Tensor]:
    """Return the logits of pixel non-local means, the best pixel of each cell.

    The patch around the centre of the query cell is compared with the patch around every pixel of
    every frame; a cell's logit is minus the least mean squared difference in it, in (grey
    levels)^2 / 100.
    """
    half = side // 2
    count, height, width = frames.shape[:3]
    padded = [
        cv2.copyMakeBorder(f, half, half, half, half, cv2.BORDER_REFLECT_101).astype(np.float32)
        for f in frames
    ]
    h, w = height // stride, width // stride

    def logits(query: Tensor) -> Tensor:
        out = np.empty((len(query), count, h, w), np.float32)
        for row, index in enumerate(query.tolist()):
            t, y, x = index // (h * w), index // w % h, index % w
            top, left = (int(c * stride + stride // 2) for c in (y, x))
            patch = padded[t][top : top + side, left : left + side]
            for other in range(count):
                away = cv2.matchTemplate(padded[other], patch, cv2.TM_SQDIFF) / (3 * side**2)
                out[row, other] = away.reshape(h, stride, w, stride).min(axis=(1, 3))
        return torch.from_numpy(-out.reshape(len(query), -1) / 100)

    return logits


def _product(name: str, theta: Tensor, phi: Tensor, *, scale: float | None = None) -> Rival:
    return Rival(name, lambda query: theta[query] @ phi.T, scale)


def _position(t: int, h: int, w: int) -> Callable[[Tensor], Tensor]:
    cell = torch.arange(t * h * w) % (h * w)
    place = torch.stack([cell // w, cell % w], dim=1).float()
    return lambda query: -torch.cdist(place[query], place).square()
