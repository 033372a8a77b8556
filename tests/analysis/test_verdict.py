"""The verdict: its figures against independent computations, its rules, and odd inputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import nlviz
from nlviz.analysis.other_contents import other_contents
from nlviz.analysis.row_effect import RowEffect, log_odds, row_effect, strong_links
from nlviz.analysis.row_origin import RowOrigin, in_common, mean_of_others, reached, row_origin
from nlviz.analysis.verdict import matters_of, source_of
from nlviz.captures.capture import Capture
from nlviz.errors import NlvizError
from nlviz.recipes.verdict_cases import Case, cases

FIGURES = RowOrigin(60, 3.0, 0.1, 0.2, 0.0, (), 0.1, 0.15, 0.1, 6)


@pytest.fixture(scope="module")
def known() -> dict[str, Case]:
    return {c.name: c for c in cases([0])}


def captured(case: Case) -> tuple[Capture, str, int]:
    model, clip, block, query = case.make()
    assert isinstance(query, int)
    return model.capture(clip), block, query


@pytest.mark.parametrize(
    ("changed", "source"),
    [
        ({}, "content"),
        ({"position": 0.9}, "position"),
        ({"position": 0.9, "own": 0.95}, "cannot be told"),
        ({"position": None}, "cannot be told"),
        ({"position": 0.9, "shared": 0.85}, "same"),
        ({"position": 0.9, "shared": 0.85, "sink": 0.7}, "sink"),
        ({"shared": 0.99, "sink": 0.7, "uniform": 0.95}, "near uniform"),
        ({"shared": None}, "content"),
    ],
)
def test_the_first_rule_that_holds_is_the_source(changed: dict[str, float], source: str) -> None:
    assert source_of(replace(FIGURES, **changed)) == source


@pytest.mark.parametrize(
    ("strong", "random", "none", "matters"),
    [
        (-2.0, (0.1, -0.2), -1.0, "matters"),
        (2.0, (0.1, -0.2), -1.0, "matters"),
        (-2.0, (0.1, -2.5), -1.0, "cannot be told"),
        (-2.0, (), -1.0, "cannot be told"),
        (0.01, (0.0,), 0.02, "does not matter"),
        (0.01, (0.0,), 0.5, "cannot be told"),
        (float("nan"), (0.0,), 0.02, "cannot be told"),
    ],
)
def test_it_matters_if_strong_links_beat_chance(
    strong: float, random: tuple[float, ...], none: float, matters: str
) -> None:
    assert matters_of(RowEffect(3, 0.9, 20, 0.8, strong, random, 0.0, none)) == matters


def test_figures_of_a_row_are_those_of_its_definition(known: dict[str, Case]) -> None:
    capture, block, query = captured(known["same, closed, block"])
    found = row_origin(capture, block, query, contents=2)
    matrix = capture.affinities[block].dense()[0].numpy().astype(float)
    row = matrix[query]
    others = np.delete(matrix, query, axis=0)
    n = len(row)
    spread = np.linspace(0, len(others) - 1, min(128, len(others))).round().astype(int)
    mean = others[spread].mean(0)
    few = np.argsort(-mean)[: max(1, n // 100)]
    assert found.keys == n
    assert found.uniform == pytest.approx(np.minimum(row, 1 / n).sum(), abs=1e-5)
    assert found.shared == pytest.approx(np.minimum(row, mean).sum(), abs=1e-5)
    assert found.sink == pytest.approx(min(mean[few].sum(), row[few].sum()), abs=1e-5)
    assert found.own == pytest.approx(row[query], abs=1e-6)
    assert found.effective == pytest.approx(np.exp(-(row * np.log(row)).sum()), rel=1e-4)


def test_position_is_asked_over_other_contents(known: dict[str, Case]) -> None:
    case = known["position, elsewhere, block"]
    model, clip, block, query = case.make()
    assert isinstance(query, int)
    found = row_origin(model.capture(clip), block, query, contents=3)
    rows = []
    for other in other_contents(clip, 3):
        row = model.capture(other).affinities[block].rows([query])[0, 0].numpy().astype(float)
        row[query] = 0
        rows.append(row / row.sum())
    own = model.capture(clip).affinities[block].rows([query])[0, 0].numpy().astype(float)
    own[query] = 0
    expected = np.minimum(own / own.sum(), np.mean(rows, 0)).sum()
    assert found.position == pytest.approx(expected, abs=1e-5)
    assert found.contents == 3
    assert found.beyond is not None and found.beyond > 0.8


def test_other_contents_keep_the_shape_and_change_every_frame() -> None:
    frames = np.random.default_rng(0).integers(0, 255, (3, 31, 43, 3), np.uint8)
    clip = nlviz.Clip.from_frames(frames)
    found = other_contents(clip, 4)
    assert [other.shape for other in found] == [(3, 31, 43)] * 4
    for other in found:
        assert all((a != b).mean() > 0.9 for a, b in zip(other.frames, frames, strict=True))
    again = other_contents(clip, 4)
    assert all((a.frames == b.frames).all() for a, b in zip(found, again, strict=True))
    # Half of them are the clip's own pixels.
    assert np.array_equal(np.sort(found[0].frames, axis=None), np.sort(frames, axis=None))


def test_words_change_places_and_separators_stay() -> None:
    found = other_contents(nlviz.read_text("a 3 b 7 c 1 | e f"), 5)
    for other in found:
        assert isinstance(other, nlviz.Text)
        words = other.text.split()
        assert words[6] == "|"
        assert sorted(words[:6:2]) == list("abc") and sorted(words[1:6:2]) == list("137")
        assert sorted(words[7:]) == ["e", "f"]
    assert len({other.text for other in found if isinstance(other, nlviz.Text)}) > 2
    assert not other_contents(nlviz.read_text("a a a"), 3)


@pytest.mark.parametrize("name", ["content, only, block", "content, only, attention"])
def test_effects_are_those_of_the_network_with_the_row_by_hand(
    known: dict[str, Case], name: str
) -> None:
    capture, block, query = captured(known[name])
    found = row_effect(capture, block, query, seeds=3)
    assert found is not None and capture.logits is not None
    net = capture.model.net
    affinity = capture.affinities[block]
    row = affinity.rows([query])[:, 0].double().mean(0)
    strong = strong_links(row.float(), torch.ones(len(row), dtype=torch.bool), 20)
    assert found.links == len(strong)
    assert found.weight == pytest.approx(float(row[strong].sum()), abs=1e-5)
    # What the head reads of this query is the sum of the values, so the answer follows by hand.
    heads = affinity.rows([query])[:, 0].double()
    values = _values(capture)
    left = heads.clone()
    left[:, strong] = 0
    even = torch.full_like(heads, 1 / heads.shape[1])
    cases = {
        "strong": left / left.sum(-1, keepdim=True),
        "even": even,
        "none": torch.zeros_like(heads),
    }
    before = log_odds(capture.logits, found.answer, independent=False)
    for name, rows in cases.items():
        y = torch.einsum("hk,hkc->c", rows, values) / len(rows)
        logits = net.head(y.float())
        expected = log_odds(logits, found.answer, independent=False) - before
        assert getattr(found, name) == pytest.approx(expected, abs=2e-3), name


def _values(capture: Capture) -> torch.Tensor:
    """Return (heads, keys, colours) of the values, from the codes of the network itself."""
    net, frames = capture.model.net, capture.clip.frames
    pixels = torch.tensor(frames.copy()).permute(3, 0, 1, 2)[None].float() / 255
    codes = net.codes(net.cells(pixels)).flatten(2)[0].mT
    heads, _, keys = capture.affinities["nl"].dense().shape
    colours = codes[:, 8:16]
    if keys > len(codes):  # a register, whose value is none here
        colours = torch.cat([torch.zeros(1, 8), colours])
    return colours.double().expand(heads, -1, -1)


def test_strong_links_leave_as_many_others() -> None:
    line = torch.tensor([0.4, 0.3, 0.2, 0.09, 0.01, 0.0, 0.0])
    reach = torch.tensor([True] * 6 + [False])
    assert strong_links(line, reach, 1).tolist() == [0, 1, 2]
    assert strong_links(line, reach, 20).tolist() == [0, 1, 2]
    assert strong_links(line, reach & (line < 0.25), 1).tolist() == [2, 3]


def test_log_odds_are_those_of_the_probability() -> None:
    logits = torch.tensor([2.0, -1.0, 0.5, 7.0])
    p = logits.softmax(0)
    for k in range(4):
        odds = float((p[k] / (1 - p[k])).log())
        assert log_odds(logits, k, independent=False) == pytest.approx(odds, abs=1e-4)
    assert log_odds(logits, 1, independent=True) == -1.0
    assert log_odds(torch.tensor([90.0, 0.0]), 0, independent=False) == 90.0


def test_the_network_is_as_it_was(known: dict[str, Case]) -> None:
    capture, block, query = captured(known["content, only, attention"])
    model = capture.model
    before = {k: v.clone() for k, v in model.net.state_dict().items()}
    nlviz.verdict(capture, block, query, contents=1, seeds=2)
    assert all(torch.equal(v, before[k]) for k, v in model.net.state_dict().items())
    assert torch.equal(model.logits(capture.clip), capture.logits)


def test_a_saved_capture_says_what_it_cannot(known: dict[str, Case], tmp_path: Path) -> None:
    capture, block, query = captured(known["content, only, block"])
    saved = nlviz.read_capture(capture.save(tmp_path / "c.nlviz"))
    found = nlviz.verdict(saved, block, query)
    assert (found.source, found.matters) == ("cannot be told", "cannot be told")
    assert "holds no network" in found.notes[0]
    uniform, block, query = captured(known["uniform, closed, block"])
    saved = nlviz.read_capture(uniform.save(tmp_path / "u.nlviz"))
    assert nlviz.verdict(saved, block, query).source == "near uniform"


def test_words_of_a_text_and_no_class_scores() -> None:
    model = nlviz.load_model("non-local-1d.shift", device="cpu")
    capture = model.capture(nlviz.read_text("a b c d e f g h"))
    found = nlviz.verdict(capture, "embedded_gaussian.0", 12, contents=3)
    assert found.source == "position"
    assert found.matters == "cannot be told"
    assert "no class scores" in found.notes[-1]


def test_a_token_without_a_place_and_one_head() -> None:
    import timm

    torch.manual_seed(0)
    net = timm.create_model(
        "vit_tiny_patch16_224", num_classes=7, img_size=(48, 64), depth=2
    ).eval()
    frames = np.random.default_rng(0).integers(0, 255, (1, 48, 64, 3), np.uint8)
    capture = nlviz.Model(net).capture(nlviz.Clip.from_frames(frames))
    block = next(iter(capture.affinities))
    found = nlviz.verdict(capture, block, "cls", head=2, contents=2, seeds=2)
    assert found.query == "cls" and found.head == 2
    assert found.effect is not None and found.origin.keys == 13
    assert found.attention.token == "cls"
    with pytest.raises(NlvizError, match="a head has a number from 0 to 2, got 3"):
        nlviz.verdict(capture, block, "cls", head=3, contents=2)


def test_a_query_that_reaches_only_its_frame() -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, stride=4, padding=1), torch.nn.ReLU())
    nlviz.insert(net, after="1", pairwise="embedded_gaussian", across_frames=False)
    frames = np.random.default_rng(0).integers(0, 255, (3, 24, 32, 3), np.uint8)
    capture = nlviz.capture(
        net,
        nlviz.Clip.from_frames(frames),
        input_spec=nlviz.InputSpec(sides=(24, 32), layout="frames"),
    )
    affinity = capture.affinities["1"]
    reach = reached(affinity, 50)
    assert int(reach.sum()) == 48
    mean = mean_of_others(affinity, 50, reach, None)
    assert mean is not None and float(mean.sum()) == pytest.approx(1, abs=1e-5)
    assert in_common(mean, reach / 48.0) > 0.5
    found = nlviz.verdict(capture, "1", 50, contents=2)
    assert found.origin.keys == 48
    assert found.health.state == "dead"
