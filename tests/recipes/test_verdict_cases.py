"""The cases of the verdict: that there are enough, a few of them run, and the page of all."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nlviz.interventions import CutEdges, Rerun
from nlviz.recipes.planted import Plan, Planted, painted, place_code
from nlviz.recipes.recall_clips import recall_clips
from nlviz.recipes.verdict_cases import Case, cases
from nlviz.recipes.verdict_results import interval, measured, record_of, renewed, score
from nlviz.words.map_verdict import VERDICT_MEASURED
from nlviz.zoo.load import load_model

ROOT = Path(__file__).parents[2]
PAGE, RESULTS = ROOT / "docs" / "verdict.md", ROOT / "tests/benchmarks/results/verdict.json"
FEW = (
    "content, only, block",
    "content, elsewhere, attention",
    "position, only, attention",
    "position, closed, block, dot product",
    "same, closed, attention",
    "sink, only, block",
    "sink, no value, only, attention",
    "uniform, elsewhere, block",
    "content, three, block",
    "fresh, only, block",
    "recall.embedded-gaussian, another frame, 1",
    "recall.dot-product, read, 1",
    "recall.dot-product, theta",
    "transformer.reverse",
)


@pytest.fixture(scope="module")
def known() -> dict[str, Case]:
    return {c.name: c for c in cases([1])}


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(RESULTS.read_text("utf-8"))
    return found


def test_there_are_200_cases_held_out_and_no_two_are_the_same() -> None:
    every = list(cases())
    assert sum(c.held_out for c in every) >= 200
    assert len({(c.group, c.name, c.seed) for c in every}) == len(every)
    assert {s for c in every for s in c.sources} == {
        "content", "position", "sink", "same", "near uniform",
    }  # fmt: skip
    assert {c.matters for c in every} == {"matters", "does not matter", None}


@pytest.mark.parametrize("name", FEW)
def test_the_verdict_of_a_case_is_its_truth(known: dict[str, Case], name: str) -> None:
    assert record_of(known[name], known[name].run())["score"] == 1


def test_what_cannot_be_told_is_half_and_what_is_wrong_is_none(known: dict[str, Case]) -> None:
    case = known["content, only, block"]
    found = case.run()
    from dataclasses import replace

    assert score(case, found) == 1
    assert score(case, replace(found, source="cannot be told")) == 0.5
    assert score(case, replace(found, source="position")) == 0
    assert score(case, replace(found, source="cannot be told", matters="does not matter")) == 0
    low, high = interval(50, 100)
    assert low == pytest.approx(0.404, abs=1e-3) and high == pytest.approx(0.596, abs=1e-3)


def test_the_page_is_that_of_the_results(records: list[dict[str, Any]]) -> None:
    page = PAGE.read_text("utf-8")
    assert page == renewed(page, records)
    held = measured(r for r in records if r["seed"] % 2)
    assert held["share"] >= 0.95 and held["cases"] >= 200
    told = f"Of {held['cases']} cases whose truth is known"
    share = f"{100 * held['share']:.1f} % (95 % interval {100 * held['low']:.1f} to "
    said = VERDICT_MEASURED.replace("\u00a0", " ")
    assert told in said and share in said


def test_the_results_are_of_the_cases_that_there_are(records: list[dict[str, Any]]) -> None:
    kept = {(r["group"], r["name"], r["seed"]): r for r in records}
    every = {(c.group, c.name, c.seed): c for c in cases()}
    assert kept.keys() == every.keys()
    for key, case in every.items():
        assert kept[key]["truth"] == [list(case.sources), case.matters], key


@pytest.mark.parametrize("rule", ["content", "position", "same", "sink", "uniform"])
def test_a_planted_row_follows_its_rule(rule: Any) -> None:
    plan = Plan(rule, shape=(2, 5, 7), query=31, seed=3, nuisance=0.0)
    net = Planted(plan)
    pixels = torch.tensor(painted(plan)).permute(3, 0, 1, 2)[None].float() / 255
    x = net.codes(net.cells(pixels))
    theta, phi, _ = net.nl.embed(x)
    rows = (theta[0, 0] @ phi[0, 0].T).softmax(-1)
    colours = x[0, 8:16].flatten(1).argmax(0)
    if rule == "content":
        # All keys of one colour, and none of another, whoever of that colour asks.
        top = colours[rows.argmax(1)]
        for colour in range(8):
            assert len(set(top[colours == colour].tolist())) <= 1
    elif rule == "position":
        shifted = torch.tensor(painted(Plan(rule, shape=(2, 5, 7), seed=4)))
        other = net.codes(net.cells(shifted.permute(3, 0, 1, 2)[None].float() / 255))
        theta, phi, _ = net.nl.embed(other)
        torch.testing.assert_close((theta[0, 0] @ phi[0, 0].T).softmax(-1), rows)
        assert len(set(rows.argmax(1).tolist())) > 10
    elif rule == "sink":
        assert len(set(rows.argmax(1).tolist())) == 1 and float(rows.max(1).values.min()) > 0.9
    else:
        torch.testing.assert_close(rows, rows[:1].expand_as(rows), rtol=1e-4, atol=1e-6)
        assert (float(rows.max()) < 1.01 / 70) == (rule == "uniform")


def test_products_of_places_depend_on_the_offset_alone() -> None:
    code = place_code((3, 4, 5)).flatten(1)
    product = (code.T @ code).reshape(3, 4, 5, 3, 4, 5)
    assert product[1, 2, 3, 2, 1, 4] == pytest.approx(float(product[0, 3, 0, 1, 2, 1]), abs=1e-4)
    assert int(product[2, 1, 3].argmax()) == (2 * 4 + 1) * 5 + 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ["recall.embedded-gaussian", "recall.dot-product"])
def test_recall_falls_to_chance_when_the_right_frame_is_cut(name: str) -> None:
    model, drawn = load_model(name, device="cpu"), recall_clips(24, seed=77)
    right: Counter[str] = Counter()
    for n in range(24):
        capture = model.capture(drawn.clip(n))
        cells = np.zeros((5, 8, 8), bool)
        cells[drawn.asked[n]] = True
        other = np.zeros((5, 8, 8), bool)
        other[(drawn.asked[n] + 1) % 4] = True
        with Rerun(capture) as rerun:
            for what, mask in (("asked", cells), ("another", other), ("none", cells & False)):
                cut = CutEdges("nl", None, torch.from_numpy(mask.ravel()))
                logits = rerun.run(cut, keep=False).logits
                assert logits is not None
                right[what] += int(logits.argmax()) == int(drawn.answers[n])
    assert right["none"] >= 21
    assert right["another"] >= 18
    assert right["asked"] <= 8
