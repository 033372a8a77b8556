"""Windows of unequal size that run one after another are one attention."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import nlviz
from nlviz.clips.clip import Clip
from nlviz.families.reading.input_spec import InputSpec

ROWS, COLUMNS, HEADS, WIDTH = 4, 6, 2, 10


class Windowed(nn.Module):
    """Patches of 4 x 4, attention in windows of two columns and one of what is left."""

    def __init__(self, *, crossed: bool = False) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, WIDTH, 4, 4)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.crossed = crossed

    def forward(self, x: Tensor) -> Tensor:
        x = self.patch(x).flatten(2).mT  # (1, tokens, channels)
        order = window_of().argsort(stable=True)
        q, k, v = (
            part.unflatten(2, (HEADS, -1)).transpose(1, 2)
            for part in self.qkv(x[:, order]).chunk(3, 2)
        )
        sizes = window_of().bincount().tolist()
        windows = list(zip(*(part.split(sizes, 2) for part in (q, k, v)), strict=True))
        if self.crossed:  # each looks at the next one
            both = zip(windows[:2], windows[1::-1], strict=True)
            windows = [(a, b, c) for (a, *_), (_, b, c) in both]
        found = torch.cat([F.scaled_dot_product_attention(*window) for window in windows], 2)
        return found.transpose(1, 2).flatten(2)


def window_of() -> Tensor:
    """Return the window of each token: columns 0 and 1, 2 and 3, and the other rows of the rest."""
    row, column = torch.arange(ROWS * COLUMNS) // COLUMNS, torch.arange(ROWS * COLUMNS) % COLUMNS
    return torch.where(column < 4, column // 2, 2 + (row > 0).long())


def clip() -> Clip:
    noise = np.random.default_rng(0).integers(0, 256, (1, 4 * ROWS, 4 * COLUMNS, 3))
    return Clip.from_frames(noise.astype(np.uint8), name="noise")


def captured(net: nn.Module) -> nlviz.Capture:
    spec = InputSpec(
        sides=(4 * ROWS, 4 * COLUMNS), layout="frames", mean=(0,) * 3, std=(1,) * 3, white=1
    )
    return nlviz.capture(net.eval(), clip(), input_spec=spec, family="attention")


def test_windows_are_one_attention_whose_rows_are_those_of_its_mask() -> None:
    torch.manual_seed(0)
    net = Windowed()
    found = captured(net)
    (affinity,) = found.affinities.values()
    assert affinity.queries.shape == (1, ROWS, COLUMNS)
    assert np.allclose(affinity.queries.origin, (0, 1.5, 1.5))
    pixels = torch.from_numpy(clip().frames.copy()).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        x = net.patch(pixels).flatten(2).mT
        q, k, _ = (p.unflatten(2, (HEADS, -1)).transpose(1, 2)[0] for p in net.qkv(x).chunk(3, 2))
    mask = window_of()[:, None] == window_of()[None]
    wanted = (q @ k.mT * q.shape[-1] ** -0.5).masked_fill(~mask, -torch.inf).softmax(-1)
    assert torch.allclose(affinity.dense(), wanted, atol=1e-5)
    assert "4 times" in affinity.note
    assert found.receipts[affinity.name].holds


def test_products_that_look_at_each_other_stay_apart() -> None:
    torch.manual_seed(0)
    found = captured(Windowed(crossed=True))
    assert len(found.affinities) == 2
