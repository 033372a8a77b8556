"""Measures of the recall networks, against the library's interventions one clip at a time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import nlviz
from nlviz.captures.model import Model
from nlviz.families.recall import RecallAdapter
from nlviz.files.local import digest_of
from nlviz.interventions import Bypass, CutEdges, CutFrames, GivenRows, Rerun
from nlviz.networks.recall import RecallNL, RecallPairwise, RecallTask
from nlviz.recipes import recall, recall_measures, recall_results
from nlviz.recipes.recall_card import name_of
from nlviz.recipes.recall_measures import CELLS
from nlviz.recipes.recall_page import ORDER, interval, page
from nlviz.resources import asset

ROOT = Path(__file__).parents[2]
SEEDS = 3
QUERIES = tuple(range(4 * CELLS, 5 * CELLS))


def shaken(kind: RecallPairwise, seed: int) -> RecallNL:
    """A network of the trunk that is bundled, whose block does a lot and whose head is sure."""
    trunk = nlviz.load_model("recall.dot-product", device="cpu").net
    assert isinstance(trunk, RecallNL)
    net = recall.fresh(kind, trunk, seed=seed)
    for p in (*net.nl.parameters(), *net.head.parameters()):
        p.data.add_(0.3 * torch.randn_like(p))
    return net.eval()


@pytest.mark.parametrize("kind", ORDER)
def test_many_clips_at_once_are_changed_as_interventions_change_one(kind: RecallPairwise) -> None:
    net, other = shaken(kind, 3), shaken("dot_product", 4)
    batch = next(recall_measures.batches(net, "recall", clips=3))
    with torch.no_grad():
        _, rows = recall_measures.logits_and_rows(net, batch)
        _, given = recall_measures.logits_and_rows(other, batch)
    model = Model(net, adapter=RecallAdapter())
    for n in range(3):
        asked = int(batch.clips.asked[n])
        digit = batch.digit(batch.asked)
        frame = batch.in_frame(batch.asked)
        changes = {
            "whole": ((), rows),
            "bypassed": ((Bypass("nl"),), None),
            "frame": (
                (CutFrames("nl", (asked,), QUERIES),), recall_measures.cut(net, rows, frame),
            ),
            "digit": (
                (CutEdges("nl", QUERIES, digit[n]),), recall_measures.cut(net, rows, digit),
            ),
            "given": ((GivenRows("nl", QUERIES, given[n]),), given),
        }  # fmt: skip
        with Rerun(model.capture(batch.clips.clip(n))) as rerun:
            for name, (change, mine) in changes.items():
                logits = rerun.run(*change).logits
                assert logits is not None
                told = recall_measures.answers(net, batch, mine, logits=True)[n]
                torch.testing.assert_close(told, logits, rtol=1e-3, atol=1e-3, msg=f"{kind} {name}")


def test_shares_lie_where_they_are_put() -> None:
    """A block that weighs one digit's cells alone has all mass there, and knows the frame."""
    net = shaken("dot_product", 5)
    batch = next(recall_measures.batches(net, "recall", clips=7))
    digit = batch.digit(batch.asked)
    assert ((digit.sum(1) >= 4) & (digit.sum(1) <= 9)).all()
    assert (digit & ~batch.in_frame(batch.asked)).sum() == 0
    rows = -digit[:, None].expand(-1, CELLS, -1).float() / digit.sum(1)[:, None, None]
    found = {
        name: value / 7 for name, value in recall_measures.of_rows(net, batch, rows).items()
    }  # fmt: skip
    assert found["on the asked digit"] == pytest.approx(1)
    assert found["on the asked digit, signed"] == pytest.approx(-1)
    assert found["asked digit first"] == 1
    assert found["above 0"] == 0
    assert 4 <= found["effective keys"] <= 9


def test_concatenation_ranks_keys_alike_and_a_dot_product_need_not() -> None:
    found = {
        kind: recall_measures.measured(shaken(kind, 6), "recall", clips=4)["rows"]["same order"]
        for kind in ("concatenation", "dot_product")
    }
    assert found["concatenation"] > 0.99
    assert found["dot_product"] < 0.9


def test_an_interrupted_measure_goes_on_and_other_weights_are_measured_anew(
    tmp_path: Path,
) -> None:
    for n, kind in enumerate(("gaussian", "none")):
        net = shaken("gaussian", n) if kind == "gaussian" else RecallNL(None)
        recall.write(net, tmp_path / f"single.{kind}-0.safetensors", seed=0, found=0.5)
    told: list[str] = []
    first = recall_results.renewed({}, tmp_path, clips=2, report=told.append)
    assert set(first["networks"]) == {"single.gaussian", "single.none"}
    assert len(told) == 2
    again = recall_results.renewed(first, tmp_path, clips=2, report=told.append)
    assert again == first and len(told) == 2
    recall.write(
        shaken("gaussian", 9), tmp_path / "single.gaussian-0.safetensors", seed=0, found=0.5
    )
    recall_results.renewed(first, tmp_path, clips=2, report=told.append)
    assert len(told) == 3
    recall_results.write(again, tmp_path / "figures.json")
    assert recall_results.known(tmp_path / "figures.json") == again


RESULTS = recall_results.known(asset(recall_results.RESULTS))


def test_the_page_is_made_of_the_figures() -> None:
    assert (ROOT / "docs/choice-of-f.md").read_text("utf-8") == page(RESULTS)


@pytest.mark.parametrize(
    ("task", "kind"), [("single", "gaussian"), ("missing", "dot_product"), ("recall", "gaussian")]
)
def test_the_figures_are_found_again_in_the_bundled_networks(
    task: RecallTask, kind: RecallPairwise
) -> None:
    told = RESULTS["networks"][f"{task}.{kind}"]["0"]
    weights = asset(f"weights/{name_of(task, kind)}.safetensors")
    assert told["sha256"] == digest_of(weights)
    found = recall_measures.measured(recall.read(weights, kind), task, clips=100)
    for name, share in told["right"].items():
        # Of 100 of the same 1000 clips: three standard deviations, and a clip.
        off = 3 * (share * (1 - share) / 100) ** 0.5 + 0.01
        assert abs(found["right"][name] - share) < off, name
    for name, value in told["rows"].items():
        assert found["rows"][name] == pytest.approx(value, rel=0.25, abs=0.12), name


def test_three_seeds_of_every_network_were_measured_on_enough_clips() -> None:
    assert RESULTS["clips"] >= 200
    for task in recall.TASKS:
        assert len(RESULTS["swaps"][task]) >= SEEDS
        for kind in recall.KINDS:
            assert len(RESULTS["networks"][f"{task}.{kind}"]) >= SEEDS


def test_the_interval_covers_what_it_should() -> None:
    low, high = interval(0.94, 1000)
    assert low < 0.94 < high
    # Wilson's ends solve (p - share)^2 = z^2 p (1 - p) / n.
    for p in (low, high):
        assert (p - 0.94) ** 2 == pytest.approx(1.959964**2 * p * (1 - p) / 1000)
