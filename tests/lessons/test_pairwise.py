"""Lesson 5: what its screens claim, from the bundled networks; its arithmetic and judges."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import nlviz
from nlviz.interventions import GivenRows, Rerun
from nlviz.networks.recall import COLOURS, RecallNL, RecallPairwise, RecallTask
from nlviz.picture import colour_table
from nlviz.recipes.lessons import pairwise
from nlviz.recipes.lessons.pairwise import TASKS, bundled, make, shown
from nlviz.recipes.recall import accuracy, pixels
from nlviz.recipes.recall_card import name_of
from nlviz.recipes.recall_measures import Batch, answers, logits_and_rows, measured
from nlviz.recipes.recall_page import ORDER, interval
from nlviz.recipes.recall_results import RESULTS, known
from nlviz.resources import asset
from nlviz.web.lesson_pages import data
from nlviz.web.payloads.container import unpack
from tests.lessons.claims import claim
from tests.lessons.pure import DATA, Pure

LESSON = Pure("pairwise")
HEAD = data("pairwise")[0]
NUMBERS = HEAD["numbers"]
SHORT = {"embedded_gaussian": "eg", "dot_product": "dot", "gaussian": "g", "concatenation": "c"}
LAST = range(256, 320)


@cache
def batch(task: RecallTask, kind: RecallPairwise) -> tuple[RecallNL, Batch]:
    """A bundled network and the lesson's clips behind its trunk."""
    net = bundled(task, kind)
    drawn, which = shown("single" if task == "single" else "recall")
    few = type(drawn)(*(getattr(drawn, name)[which] for name in drawn.__dataclass_fields__))
    with torch.no_grad():
        return net, Batch(net.cells(pixels(few)), few)


@cache
def rows_of(task: RecallTask, kind: RecallPairwise) -> Tensor:
    """Rows of every query of the lesson's clips, (8, 320, 320), by the library."""
    _, clips = batch(task, kind)
    model = nlviz.load_model(name_of(task, kind), device="cpu")
    found = [
        model.capture(clips.clips.clip(n)).affinities["nl"].rows(range(320))[0] for n in range(8)
    ]
    return torch.stack(found)


def kept_by(rows: Tensor) -> float:
    """How many of ten strongest keys of the first cell other queries have too, on average."""
    top = rows[::13].topk(10).indices.tolist()
    return float(np.mean([len(set(top[0]) & set(each)) for each in top[1:]]))


def grey(clip: int) -> int:
    y, x = HEAD["clips"]["recall"]["grey"][clip]
    return 256 + y // 4 * 8 + x // 4


def right(task: RecallTask, taker: RecallPairwise, rows: Tensor) -> int:
    net, clips = batch(task, taker)
    with torch.no_grad():
        found = answers(net, clips, rows)
    return int((found == torch.from_numpy(clips.clips.labels(task))).sum())


def test_the_bundled_data_is_what_the_recipe_makes() -> None:
    header, arrays = unpack(make())
    bundled_header, bundled_arrays = data("pairwise")
    assert {k: v for k, v in header.items() if k != "numbers"} == {
        k: v for k, v in bundled_header.items() if k != "numbers"
    }
    assert header["numbers"] == pytest.approx(bundled_header["numbers"], abs=0.002)
    assert arrays.keys() == bundled_arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_allclose(array, bundled_arrays[name], rtol=0, atol=0.02, err_msg=name)


@pytest.mark.parametrize("kind", ORDER)
def test_the_browser_computes_the_librarys_rows_and_answers(kind: RecallPairwise) -> None:
    for task in TASKS:
        name = f"{task}.{kind}"
        rows = rows_of(task, kind)
        net, clips = batch(task, kind)
        with torch.no_grad():
            logits = net.answer(clips.x)
        calls: list[tuple[Any, ...]] = []
        for clip, query in ((0, 3), (5, 300), (7, 261)):
            calls += [
                ("recall", "recallRow", DATA, name, clip, query),
                ("recall", "recallLogits", DATA, name, clip),
                ("recall", "recallAnswer", DATA, name, clip),
            ]
        found = LESSON.call(*calls)
        for n, (clip, query) in enumerate(((0, 3), (5, 300), (7, 261))):
            row, told, answer = found[3 * n : 3 * n + 3]
            # The features travel in half precision.
            own = rows[clip, query].numpy()
            np.testing.assert_allclose(row, own, rtol=0.05, atol=0.02 * float(np.abs(own).max()))
            np.testing.assert_allclose(told, logits[clip].numpy(), rtol=0.05, atol=0.15)
            assert answer["colour"] == COLOURS[int(logits[clip].argmax())], (name, clip)


@claim("match", "which", "rows")
def test_shares_of_right_answers_are_those_of_the_bundled_networks() -> None:
    for task in TASKS:
        for kind in ORDER:
            told = NUMBERS[f"{task}_{SHORT[kind]}"]
            card = json.loads(asset(f"weights/{name_of(task, kind)}.json").read_text("utf-8"))
            assert told == card["validation"]["right of 1000 held-out clips"]
            low, high = interval(told, 100)
            found = accuracy(bundled(task, kind), task, clips=100, seed=31)
            assert low - 0.03 < found < high + 0.03, (task, kind)
    assert NUMBERS["guess"] == 1 / len(COLOURS)


@claim("match", "sentence", "rows")
def test_what_other_seeds_came_to_is_told_beside_the_bundled_one() -> None:
    found = known(asset(RESULTS))["networks"]

    def seeds(name: str) -> list[float]:
        return [each["right"]["whole"] for each in found[name].values()]

    lost, *learned = sorted(seeds("recall.embedded_gaussian"))
    assert NUMBERS["low"] == lost
    assert lost < 0.5 < 0.95 < min(learned)  # one training failed, the bundled one did not
    assert NUMBERS["g_mean"] == pytest.approx(np.mean(seeds("single.gaussian")))
    assert NUMBERS["single_g"] > NUMBERS["g_mean"]


@claim("match")
def test_the_grey_digit_looks_at_its_partner_and_the_first_query_does_not() -> None:
    rows = rows_of("recall", "embedded_gaussian")
    _, clips = batch("recall", "embedded_gaussian")
    on = clips.digit(clips.asked)
    for clip in range(8):
        assert float(rows[clip, grey(clip), on[clip]].sum()) > 0.5
    figure = LESSON.screen("match")["figure"]
    least = LESSON.screen("match")["question"]["least"]
    assert float(rows[figure["clip"], figure["query"], on[figure["clip"]]].sum()) < least
    partner = HEAD["clips"]["recall"]["asked"][0] + 1
    verdicts = LESSON.judged(
        "judgePartner",
        "match",
        {"reading": {"clip": 0, "query": 256}},
        {"reading": {"clip": 0, "query": grey(0)}},
        {"reading": {"clip": 0, "query": 10}},
    )
    assert [v["say"] for v in verdicts] == ["elsewhere", "right", "other-frame"]
    assert {v["values"]["partner"] for v in verdicts} == {partner}
    share = float(rows[0, grey(0), on[0]].sum())
    assert verdicts[1]["values"]["share"] == pytest.approx(share, abs=0.03)


@claim("signs")
def test_a_dot_product_is_signed_and_its_values_expect_the_sign() -> None:
    rows = rows_of("recall", "dot_product")
    assert bool((rows < 0).any(-1).all())
    assert float((rows.sum(-1) - 1).abs().median()) > 0.5
    assert torch.allclose(rows_of("recall", "embedded_gaussian").sum(-1), torch.ones(8, 320))
    for kind, key, name in (
        ("embedded_gaussian", "eg_on", "on the asked digit"),
        ("dot_product", "dot_signed", "on the asked digit, signed"),
    ):
        found = measured(bundled("recall", kind), "recall", clips=100)["rows"][name]  # type: ignore[arg-type]
        assert NUMBERS[key] == pytest.approx(found, abs=0.05)
    assert NUMBERS["dot_signed"] < -0.05
    # The colours say so: below 0 the table is blue, above it red.
    table = colour_table("diverging").astype(int)
    assert table[16, 2] > 1.5 * table[16, 0] and table[-16, 0] > 1.5 * table[-16, 2]
    own = rows[:, 256:]
    turned = right("recall", "dot_product", -own)
    assert right("recall", "dot_product", own) == 8
    verdicts = LESSON.judged("judgeFlip", "signs", {"given": turned}, {"given": turned + 1})
    assert [v["say"] for v in verdicts] == ["right", "count"]
    assert verdicts[0]["values"] == {"given": turned, "right": turned, "count": 8, "whole": 8}


@claim("order")
def test_a_concatenation_keeps_its_ten_strongest_keys_for_every_query() -> None:
    rows = rows_of("missing", "concatenation")
    others = rows_of("recall", "embedded_gaussian")
    kept = []
    for clip in range(8):
        top = rows[clip].topk(10).indices.sort(-1).values
        assert (top == top[0]).all()
        ten = set(others[clip, grey(clip)].topk(10).indices.tolist())
        kept += [len(ten & set(others[clip, j].topk(10).indices.tolist())) for j in (256, 319, 40)]
    assert np.mean(kept) < 8
    # In the first task nearly all of f is 0.
    net, clips = batch("recall", "concatenation")
    with torch.no_grad():
        _, first = logits_and_rows(net, clips)
    assert float((first > 0).float().mean()) < 0.05
    at = {"clip": 0, "query": 77}  # on the digit of frame 2
    verdicts = LESSON.judged(
        "judgeOrder",
        "order",
        {"given": 10, "reading": at},
        {"given": 3, "reading": at},
        {"given": 10, "reading": {"clip": 0, "query": 291}},
        {"given": 10, "reading": {"clip": 0, "query": 290}},
    )
    assert [v["say"] for v in verdicts] == ["right", "count", "not-moved", "alike"]
    most = LESSON.screen("order")["question"]["most"]
    assert verdicts[3]["values"]["eg"] > most >= verdicts[0]["values"]["eg"]
    # Every clip has a digit to move to.
    _, clips = batch("recall", "embedded_gaussian")
    for clip, digits in enumerate(clips.digits()):
        first = set(others[clip, 291].topk(10).indices.tolist())
        cells = digits.any(0).nonzero().ravel()
        moved = [len(first & set(others[clip, j].topk(10).indices.tolist())) for j in cells]
        assert min(moved) <= 2, clip
    ten = set(others[0, 291].topk(10).indices.tolist())
    assert verdicts[0]["values"]["eg"] == pytest.approx(
        len(ten & set(others[0, 77].topk(10).indices.tolist())), abs=1
    )


@claim("which")
def test_what_is_said_of_the_four_tells_them_apart() -> None:
    rows = {kind: rows_of("missing", kind) for kind in ORDER}
    for kind in ("embedded_gaussian", "gaussian"):
        assert float(rows[kind].min()) >= 0
        assert torch.allclose(rows[kind].sum(-1), torch.ones(8, 320), atol=1e-4)
    assert bool((rows["dot_product"].min(-1).values < 0).all())
    assert bool((rows["dot_product"].max(-1).values > 0).all())
    assert float(rows["concatenation"].min()) >= 0
    assert float((rows["concatenation"].sum(-1) - 1).abs().min()) > 0.1
    figure = LESSON.screen("which")["figure"]
    clip, query = figure["clip"], figure["query"]
    kept = {kind: np.mean([kept_by(rows[kind][n]) for n in range(8)]) for kind in ORDER}
    assert kept["embedded_gaussian"] > 7 > 5 > kept["gaussian"]
    # The Gaussian has nothing to learn behind a frozen trunk; the embedded Gaussian has, and looks
    # at coloured digits from everywhere.
    torch.testing.assert_close(rows["gaussian"], rows_of("recall", "gaussian"))
    _, clips = batch("missing", "embedded_gaussian")
    on = (rows["embedded_gaussian"] * clips.digits().any(1)[:, None]).sum(-1)
    assert float(on.mean()) > 0.9
    # From the grey digit it sees one colour alone, the dot product and the concatenation all four.
    grey_cells = [grey(n) for n in range(8)]
    shares = {}
    for kind in ORDER:
        own = rows[kind][torch.arange(8), grey_cells].abs()
        by_digit = (own[:, None] * clips.digits()).sum(-1) / own.sum(-1, keepdim=True)
        shares[kind] = by_digit.max(1).values.mean()
        if kind in ("dot_product", "concatenation"):
            assert float(by_digit.min()) > 0.04, kind
    assert NUMBERS["eg_one"] == pytest.approx(float(shares["embedded_gaussian"]), abs=0.02)
    assert NUMBERS["eg_one"] > 0.95
    names = {name: HEAD["nets"][name]["f"] for name in figure["nets"]}

    def told(**changes: str) -> dict[str, Any]:
        given = {**names, **{f"missing.{k}": v for k, v in changes.items()}}
        return {"reading": {"names": given, "clip": clip, "query": query}}

    verdicts = LESSON.judged(
        "judgeNames",
        "which",
        told(),
        told(gaussian=""),
        told(gaussian="dot_product", dot_product="gaussian"),
        told(dot_product="concatenation", concatenation="dot_product"),
        told(gaussian="concatenation", concatenation="gaussian"),
        told(gaussian="embedded_gaussian", embedded_gaussian="gaussian"),
        told(dot_product="gaussian"),
        told(concatenation="gaussian"),
    )
    assert [v["say"] for v in verdicts] == [
        "right", "some", "not-signed", "not-signed", "sums", "own", "signed", "sums-not",
    ]  # fmt: skip
    scores = [NUMBERS[f"missing_{SHORT[k]}"] for k in ORDER]
    assert scores[3] >= scores[1] > scores[2] > scores[0]


@claim("rows")
def test_the_gaussian_answers_with_rows_of_another_network() -> None:
    rows = {kind: rows_of("single", kind)[:, 256:] for kind in ORDER}
    counts = {kind: right("single", "gaussian", rows[kind]) for kind in ORDER}
    assert counts["gaussian"] == 4  # half of the clips
    assert counts["embedded_gaussian"] == 8
    model = nlviz.load_model("single.gaussian", device="cpu")
    _, clips = batch("single", "gaussian")
    given = GivenRows("nl", tuple(LAST), rows["embedded_gaussian"][0])
    with Rerun(model.capture(clips.clips.clip(0))) as rerun:
        assert int(rerun.run().logits.argmax()) != int(clips.clips.answers[0])  # type: ignore[union-attr]
        assert int(rerun.run(given).logits.argmax()) == int(clips.clips.answers[0])  # type: ignore[union-attr]
    verdicts = LESSON.judged(
        "judgeDonor",
        "rows",
        *({"reading": {"donor": f"single.{kind}"}} for kind in ORDER),
    )
    for kind, verdict in zip(ORDER, verdicts, strict=True):
        assert verdict["values"]["right"] == counts[kind], kind
        assert verdict["right"] == (counts[kind] == 8 and kind != "gaussian")
    assert [v["say"] for v in verdicts[:3]] == ["right", "signed", "own"]
    # "Three functions are level."
    assert len({round(NUMBERS[f"single_{k}"], 2) for k in ("eg", "dot", "c")}) == 1


@claim("sentence")
def test_the_table_is_of_the_results_and_the_four_lie_closest_in_one_task() -> None:
    results = known(asset(RESULTS))
    means = {}
    for task in TASKS:
        for kind in ORDER:
            told = results["networks"][f"{task}.{kind}"]
            for measure in pairwise.MEASURES:
                assert HEAD["figures"][task][kind][measure] == [
                    told[seed]["right"][measure] for seed in sorted(told)
                ]
            assert NUMBERS["seeds"] == len(told)
            means[task, kind] = np.mean([told[seed]["right"]["whole"] for seed in told])
    apart = {t: np.ptp([means[t, k] for k in ORDER]) for t in TASKS}
    closest = min(apart, key=lambda task: apart[task])
    verdicts = LESSON.judged("judgeTask", "sentence", *({"given": task} for task in TASKS))
    for task, verdict in zip(TASKS, verdicts, strict=True):
        assert verdict["right"] == (task == closest)
        assert verdict["values"]["apart"] == pytest.approx(100 * apart[task])
    # "Most functions find it": three of four; "f decides": one of them is at chance.
    assert sum(means["single", kind] > 0.95 for kind in ORDER) >= 3
    assert (
        min(means["recall", kind] for kind in ORDER)
        < 0.45
        < 0.9
        < max(means["recall", kind] for kind in ORDER)
    )


def test_a_row_of_zeros_has_no_share_anywhere() -> None:
    """A share of nothing is nothing: rows of zeros do not divide by 0."""
    found = LESSON.call(("recall", "rowFigures", DATA, "recall.concatenation", 0, 291))[0]
    assert found["share"] == pytest.approx(0, abs=1e-6)
    assert np.isfinite(list(found.values())).all()
