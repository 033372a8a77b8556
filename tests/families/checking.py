"""What every adapter of live blocks must show."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import nlviz
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.captures.model import Model
from nlviz.families import adapter_for, family_of
from nlviz.families.reading.adapter import InputSpec
from tests.families.references import assert_close
from tests.families.stand_ins import Around
from tests.nets import noise_clip

FRAMES, CELLS = 5, (9, 11)  # 36 x 44 pixels, a stride of 4


def spec(n: int) -> InputSpec:
    return InputSpec(size=36, multiple=4, layout="clip" if n == 3 else "frames")


def captured(net: Any, n: int, *, frames: int = FRAMES) -> EmbeddedAffinity:
    """Return the affinity of a network's only block."""
    clip = noise_clip(frames, 36, 44)
    (affinity,) = nlviz.capture(net, clip, input_spec=spec(n)).affinities.values()
    assert isinstance(affinity, EmbeddedAffinity)
    return affinity


def check(
    block: Any,
    n: int,
    *,
    family: str,
    pairwise: str,
    keys: tuple[int, int, int] | None = None,
    scale: float = 1.0,
    **call: Any,
) -> EmbeddedAffinity:
    """Rows are those that the block itself made; y and g give it; cells lie where they should."""
    torch.manual_seed(0)
    net = Around(block, n, **call).eval()
    with torch.no_grad():
        net.stem.weight.mul_(3)
    assert family_of(net).name == family
    assert list(adapter_for(net).blocks(net)) == ["trunk.nl"]
    clip = noise_clip(FRAMES, 36, 44)
    model = Model(net, input_spec=spec(n))
    capture = model.capture(clip)
    affinity = capture.affinities["trunk.nl"]
    assert isinstance(affinity, EmbeddedAffinity)
    assert affinity.pairwise.name == pairwise
    assert affinity.pairwise.scale == pytest.approx(scale)
    grid = (FRAMES, 1, 1) if n == 1 else (FRAMES, *CELLS)
    assert affinity.queries.shape == grid
    assert affinity.keys.shape == (keys or grid)
    found, rows = affinity.dense()[0], block.rows.detach()
    if n == 2:  # a batch of frames, each with rows of its own
        rows = torch.block_diag(*rows)
    else:
        rows = rows[0]
    assert_close(found, rows)
    assert float(rows.std()) > 1e-4  # else anything would agree
    # What leaves W_z and its normalisation is what the block added to its input.
    y = affinity.output
    assert y is not None
    assert affinity.values is not None
    assert_close(found @ affinity.values[0], y[0])
    assert capture.features["trunk.nl"].shape == (6, *grid)
    if n > 1:
        assert affinity.queries.centre(0)[1:] == pytest.approx((0.0, 0.0))
        assert affinity.queries.stride[1:] == (4.0, 4.0)
        pooled = affinity.keys.shape[1] != affinity.queries.shape[1]
        assert affinity.keys.centre(0)[1:] == pytest.approx((2.0, 2.0) if pooled else (0.0, 0.0))
    without = model.logits(clip, bypass="trunk.nl")
    assert not torch.allclose(without, model.logits(clip), atol=1e-4)
    with torch.no_grad():
        assert_close(without, net.head(capture.features["trunk.nl"].mean((1, 2, 3))))
    return affinity
