"""What stands beside a block's affinity, for blocks of every dimension and grids with a prefix."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.analysis.controls import controls, variants
from nlviz.captures.model import Affinities, Capture, Model
from nlviz.errors import UnknownBlock
from nlviz.networks.block import NonLocalBlock
from tests.nets import CLIPS, FRAMES, clip_net, frame_net, noise_clip


def captured(pairwise: str, **options: object) -> Capture:
    return Model(frame_net(pairwise, **options), input_spec=FRAMES).capture(noise_clip(3, 96, 160))


@pytest.mark.parametrize("pairwise", ["gaussian", "dot_product", "concatenation"])
def test_variants_are_in_their_order_and_only_where_they_exist(pairwise: str) -> None:
    found = variants(captured(pairwise), "layer1")
    keys = [s.key for s in found]
    split = ["pairwise", "unary"] if pairwise == "gaussian" else []
    assert keys == [
        *("learned", "features", "position", "untrained", "nl_means"),
        *split,
        "minus_mean",
        "cosine",
    ]
    assert [s.key for s in found if s.part] == [*split, "minus_mean"]
    assert all(s.note.count(".") <= 2 and s.note.endswith(".") for s in found)


def test_an_unknown_block_is_told() -> None:
    with pytest.raises(UnknownBlock):
        variants(captured("gaussian"), "layer2")


@pytest.mark.parametrize("across_frames", [True, False])
@pytest.mark.parametrize("pool", [1, 2])
def test_the_untrained_block_sees_what_the_block_sees(across_frames: bool, pool: int) -> None:
    capture = captured("embedded_gaussian", across_frames=across_frames, pool=pool)
    learned = capture.affinities["layer1"]
    found = controls(capture, "layer1")["untrained"]
    assert (found.queries.shape, found.keys.shape) == (learned.queries.shape, learned.keys.shape)
    rows, own = found.dense(), learned.dense()
    assert rows.shape == own.shape
    assert torch.equal(rows == 0, own == 0)
    assert float((rows - own).abs().max()) > 1e-4
    # With the weights that it drew, the block itself computes these rows.
    block = capture.blocks["layer1"]
    assert isinstance(block, NonLocalBlock)
    assert isinstance(found, EmbeddedAffinity)
    assert found.theta.shape[1:] == (learned.queries.size, block.theta.weight.shape[0])


def test_groups_of_frames_keep_to_themselves_in_every_part() -> None:
    model = Model(clip_net(frames_per_group=1, pool=2), input_spec=CLIPS)
    found = controls(model.capture(noise_clip(6, 48, 64)), "nl")
    _, h, w = found["learned"].queries.shape
    plane = found["learned"].keys.size // 3
    for key in ("learned", "untrained", "pairwise", "unary", "minus_mean"):
        row = found[key].rows([h * w + 5])[0, 0]
        assert bool(row[plane : 2 * plane].any())
        assert not bool(row[:plane].any() or row[2 * plane :].any())
    same = found["unary"].rows([0, h * w - 1, h * w])[0]
    assert torch.equal(same[0], same[1])
    assert not torch.equal(same[0], same[2])


def test_controls_leave_tokens_without_a_place_out() -> None:
    capture = Model(clip_net(), input_spec=CLIPS).capture(noise_clip(6, 48, 64))
    learned = capture.affinities["nl"]
    assert isinstance(learned, EmbeddedAffinity)
    n = 5  # tokens that lie outside the picture, padding for instance
    wider = replace(
        learned,
        theta=torch.cat([torch.ones(1, n, learned.theta.shape[-1]), learned.theta], 1),
        phi=torch.cat([torch.ones(1, n, learned.phi.shape[-1]), learned.phi], 1),
        values=None,
        output=None,
        queries=replace(learned.queries, prefix=n),
        keys=replace(learned.keys, prefix=n),
    )
    padded = replace(capture, affinities=Affinities({"nl": wider}))
    for key, affinity in controls(padded, "nl").items():
        attention = affinity.map(frame=1, y=20, x=30)
        assert attention.weights.shape == affinity.keys.shape
        assert key == "nl_means" or affinity.keys.shape == learned.keys.shape
        of_controls = key in ("features", "position", "untrained", "nl_means", "cosine")
        assert (affinity.keys.prefix == 0) == of_controls
        if affinity.pairwise.softmax:
            assert attention.off_grid + attention.weights.sum() == pytest.approx(1, abs=1e-5)
