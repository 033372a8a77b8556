"""Cells are taken out in the order of maps; what is right is known from how the network is made."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

import nlviz
from nlviz.affinity.grid import TokenGrid
from nlviz.analysis.compared_maps import ComparedMap, drawn, on_cells
from nlviz.analysis.deletion import Deletion, deletion
from nlviz.analysis.ordering import faithfulness, ordering
from nlviz.analysis.removal import Removals
from nlviz.analysis.spread import Spread
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError, UnknownBlock
from nlviz.interventions.regions import filled, pixels_of_cells
from nlviz.networks.block import NonLocalBlock
from tests.nets import CLIPS, clip_net, noise_clip


class Red(nn.Module):
    """Class 0 is how red the clip is; the block's queries look at what is red as they are."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv3d(3, 2, (1, 4, 4), stride=(1, 4, 4))
        self.nl = NonLocalBlock(2, dimension=3, pairwise="gaussian")
        with torch.no_grad():
            red_less_blue = torch.tensor([[1.0, 0, -1], [-1, 0, 1]]) / 8
            self.stem.weight.copy_(red_less_blue[..., None, None, None].expand(2, 3, 1, 4, 4))
            self.stem.bias.zero_()
            self.nl.scale = 0.3

    def forward(self, x: Tensor) -> Tensor:
        red, blue = self.nl(self.stem(x).relu()).unbind(1)
        return torch.stack([red.mean((1, 2, 3)) * 4, blue.mean((1, 2, 3)) * 4, red[:, 0, 0, 0]], 1)


def red_clip() -> Clip:
    """Return a clip of grey noise with a red patch in two frames, an eighth of their cells."""
    frames = np.random.default_rng(0).integers(118, 122, (3, 32, 64, 3)).astype(np.uint8)
    frames[1:, 16:32, 32:48] = (240, 90, 20)
    return Clip.from_frames(frames)


@pytest.fixture(scope="module")
def red() -> tuple[Model, nlviz.Capture]:
    model = Model(Red().eval(), input_spec=CLIPS)
    return model, model.capture(red_clip())


@pytest.fixture(scope="module")
def found(red: tuple[Model, nlviz.Capture]) -> Deletion:
    model, capture = red
    return deletion(capture, "nl", (1, 20, 40), model=model, steps=6, seeds=4, target=0)


def test_both_curves_go_between_the_whole_clip_and_nothing(
    found: Deletion, red: tuple[Model, nlviz.Capture]
) -> None:
    whole = float(red[1].logits.softmax(-1)[0])
    for curve in found.curves:
        assert curve.deletion[0] == curve.insertion[-1] == pytest.approx(whole)
        assert curve.deletion[-1] == curve.insertion[0] == found.own.deletion[-1]
    assert found.names == (
        "map", "shifted", "random", "position", "features", "nl_means", "grad-cam"
    )  # fmt: skip
    assert not found.missing
    # Both ends are shared by all curves; what two orders take out alike runs once.
    assert 1 + 2 * 5 < found.passes <= 1 + (5 + 2 * 4) * 2 * 5


def test_a_map_of_what_matters_is_told_from_chance(found: Deletion) -> None:
    deleted, inserted = found.chance("random")
    assert deleted.place(found.own.deletion_area) == -1
    assert inserted.place(found.own.insertion_area) == 1
    assert found.own.deletion_area < found.chance("shifted")[0].mean
    sentence = nlviz.words.deletion_sentence(found)
    assert sentence.startswith("Taking out what this map points at lowers the probability of cl")
    assert "more than random cells" in sentence
    assert "more than random cells" in nlviz.words.insertion_sentence(found)


def test_each_point_is_a_plain_pass_over_the_clip_that_is_left(
    found: Deletion, red: tuple[Model, nlviz.Capture]
) -> None:
    model, capture = red
    grid = capture.affinities["nl"].keys
    curve = found.own
    weights = capture.affinities["nl"].map(frame=1, y=20, x=40).weights
    for at in (1, 3):
        cells = np.zeros(grid.size, bool)
        cells[curve.map.order[: round(curve.shares[at] * grid.size)]] = True
        taken = weights.ravel()[cells], weights.ravel()[~cells]
        assert taken[0].min() >= taken[1].max()
        mask = pixels_of_cells(grid, cells.reshape(grid.shape), capture.clip.shape)
        left = Clip.from_frames(filled(capture.clip.frames, mask, "inpaint"))
        want = float(model.logits(left).softmax(-1)[0])
        assert curve.deletion[at] == pytest.approx(want, abs=1e-6)


def test_the_output_of_the_block_is_what_its_rows_give(red: tuple[Model, nlviz.Capture]) -> None:
    model, capture = red
    query = (1, 20, 40)
    removals = Removals(model, capture, "nl", query, of="output")
    shape = capture.affinities["nl"].keys.shape
    assert removals.value(np.zeros(shape, bool)) == pytest.approx(1.0)
    cells = np.random.default_rng(1).random(shape) < 0.4
    mask = pixels_of_cells(capture.affinities["nl"].keys, cells, capture.clip.shape)
    left = model.capture(Clip.from_frames(filled(capture.clip.frames, mask)))
    at = capture.affinities["nl"].queries.nearest(frame=1, y=20, x=40)
    y, before = (c.affinities["nl"].output[0, at].double() for c in (left, capture))
    want = 1 - float((y - before).norm() / (y.norm() + before.norm()))
    assert removals.value(cells) == pytest.approx(want, abs=1e-5)
    assert removals.passes == 1


def test_where_nothing_matters_it_is_said(red: tuple[Model, nlviz.Capture]) -> None:
    model, _ = red
    grey = model.capture(Clip.from_frames(np.full((3, 32, 64, 3), 120, np.uint8)))
    few = deletion(grey, "nl", 5, model=model, maps=["random"], steps=2, seeds=2, target=2)
    assert "no order of cells can matter much" in nlviz.words.deletion_sentence(few)
    flat = ordering(grey, "nl", 5, model=model, maps=["random"], groups=3, seeds=2, target=2)
    assert flat.coefficient == 0
    assert "no better than a random one" in nlviz.words.ordering_sentence(flat)


def test_the_ordering_test_ranks_a_true_map_above_chance(red: tuple[Model, nlviz.Capture]) -> None:
    model, capture = red
    query = (1, 20, 40)
    found = ordering(capture, "nl", query, model=model, groups=6, seeds=6, target=0, fill="mean")
    assert found.coefficient > 0.9
    assert found.chance("random").mean < 0.6
    assert found.own.salience[0] == found.own.salience.max()
    assert found.own.salience.sum() == pytest.approx(1.0)
    assert found.passes <= (5 + 2 * 6) * 6
    assert [row["map"] for row in found.table][:3] == ["map", "shifted", "random"]


@given(
    s=st.lists(st.integers(0, 40), min_size=2, max_size=9),
    data=st.data(),
)
def test_the_coefficient_is_the_weighted_share_of_pairs_in_order(
    s: list[int], data: st.DataObject
) -> None:
    s.sort(reverse=True)
    d = data.draw(st.lists(st.integers(-5, 5), min_size=len(s), max_size=len(s)))
    got = faithfulness(np.array(s, float), np.array(d, float))
    total = right = 0.0
    for (si, di), (sj, dj) in combinations(zip(s, d, strict=True), 2):
        total += si - sj
        right += (si - sj) * ((di > dj) - (di < dj))
    assert got == pytest.approx(right / total if total else 0.0)
    assert -1 <= got <= 1


def test_equal_cells_come_in_a_random_order() -> None:
    flat = ComparedMap("position", np.zeros((2, 3, 5)))
    assert sorted(flat.order.tolist()) == list(range(30))
    assert flat.order.tolist() != list(range(30))


@pytest.mark.parametrize("seed", range(5))
def test_a_moved_map_is_the_map_elsewhere(seed: int) -> None:
    own = np.random.default_rng(9).random((2, 3, 5))
    moved = drawn("shifted", own, seed).values
    assert not np.array_equal(moved, own)
    np.testing.assert_array_equal(np.sort(moved.ravel()), np.sort(own.ravel()))


def test_maps_on_other_grids_are_means_on_the_cells() -> None:
    fine, coarse = TokenGrid((1, 2, 4)), TokenGrid((1, 1, 2), (1, 2, 2), (0, 0.5, 0.5))
    values = np.arange(8.0).reshape(1, 2, 4)
    np.testing.assert_allclose(on_cells(values, fine, coarse), [[[2.5, 4.5]]])
    np.testing.assert_allclose(
        on_cells(np.array([[[2.5, 4.5]]]), coarse, fine), [[[2.5, 2.5, 4.5, 4.5]] * 2]
    )


def test_an_interval_holds_95_of_100_further_tries() -> None:
    rng = np.random.default_rng(0)
    tries = rng.normal(3.0, 0.7, (4000, 6))
    inside = [Spread(tuple(row[:5])).place(row[5]) == 0 for row in tries]
    assert 0.94 < np.mean(inside) < 0.96
    assert Spread((0.9, 1.0, 0.8), within=(-1.0, 1.0)).interval[1] == 1.0


def test_it_is_drawn_and_kept(found: Deletion) -> None:
    data = json.loads(nlviz.render.deletion_bytes(found, "json"))
    assert data["format"] == "nlviz-deletion" and len(data["curves"]) == len(found.curves)
    assert nlviz.render.deletion_bytes(found, "png").startswith(b"\x89PNG")
    assert nlviz.render.deletion_bytes(found, "pdf").startswith(b"%PDF")
    with pytest.raises(NlvizError, match="png, pdf, svg, json"):
        nlviz.render.deletion_bytes(found, "gif")
    for kind in ("deletion", "insertion"):
        figure = nlviz.render.removal_curves(found, kind)
        drawn_ = {t.name for t in figure.data if t.name}
        assert {"This query's map", "Random cells, mean of 4"} <= drawn_
    assert len({t.line.color for t in figure.data if t.name}) == len(drawn_)


def test_what_cannot_be_measured_is_said(red: tuple[Model, nlviz.Capture]) -> None:
    model, capture = red
    for given_, says in (
        ({"of": "logit"}, "answer, output"),
        ({"fill": "grey"}, "'grey'"),
        ({"maps": ["sinks"]}, "a map is one of"),
        ({"maps": ["integrated-gradient"]}, "did you mean 'integrated-gradients'"),
        ({"steps": 1}, "steps must be between"),
        ({"seeds": 1}, "seeds must be between"),
        ({"target": 9}, "between 0 and 2"),
        ({"head": 1}, "between 0 and 0"),
    ):
        with pytest.raises(NlvizError, match=says):
            deletion(capture, "nl", 5, model=model, **{"maps": [], **given_})
    with pytest.raises(UnknownBlock):
        deletion(capture, "nm", 5, model=model)
    with pytest.raises(NlvizError, match="groups must be"):
        ordering(capture, "nl", 5, model=model, groups=1)


def test_it_can_be_stopped_and_the_network_is_as_it_was() -> None:
    net = clip_net()
    model = Model(net, input_spec=CLIPS)
    capture = model.capture(noise_clip(4, 32, 48))
    heard: list[float] = []

    def stop(sentence: str, share: float) -> None:
        heard.append(share)
        if len(heard) > 5:
            raise KeyboardInterrupt(sentence)

    with pytest.raises(KeyboardInterrupt, match="Pass"):
        deletion(capture, "nl", 5, model=model, steps=4, seeds=2, progress=stop)
    assert heard == sorted(heard) and heard[-1] < 1
    assert torch.equal(model.logits(capture.clip), capture.logits)
