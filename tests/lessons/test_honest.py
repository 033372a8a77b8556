"""What *Read a map honestly* claims, computed anew; its browser's maths against the library."""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nlviz
from nlviz.affinity.asked import query_number
from nlviz.analysis.row_effect import log_odds, row_effect
from nlviz.analysis.row_origin import in_common, row_origin
from nlviz.analysis.verdict import verdict
from nlviz.interventions import CutFrames, Rerun
from nlviz.recipes.lessons import honest, honest_quiz
from nlviz.resources import asset
from nlviz.web.lesson_pages import data
from tests.lessons.claims import claim
from tests.web.live_view.test_rows import node

DATA = asset("lessons/honest/data.safetensors")
SCRIPT = Path(__file__).parent / "honest.test.mjs"
CUT = (1, 3, 5)  # clips of the screen "cut"
MATTERS = {"matters": "yes", "does not matter": "no", "cannot be told": "unknown"}
SOURCES = {"near uniform": "uniform"}


@cache
def stored() -> tuple[dict[str, Any], dict[str, Any]]:
    return data("honest")


def number(name: str) -> float:
    found: float = stored()[0]["numbers"][name]
    return found


def told_of_pair() -> dict[str, Any]:
    found = {}
    for key, rule in (("a", "same"), ("b", "content")):
        plan = honest.plan_of(rule, seed=honest.PAIR_SEED, query=honest.PAIR_QUERY)  # type: ignore[arg-type]
        affinity = honest.planted_capture(plan).affinities["nl"]
        at = [honest.PAIR_QUERY, 21, 58]
        found[key] = {"queries": at, "rows": affinity.rows(at)[0].tolist()}
    return found


def told_of_quiz() -> list[dict[str, Any]]:
    found = []
    for case in honest_quiz.chosen():
        assert case.held_out
        model, clip, block, query = case.make()
        capture = model.capture(clip)
        known = verdict(capture, block, query)
        origin, affinity = known.origin, capture.affinities[block]
        figures = ("effective", "uniform", "shared", "sink", "own", "position", "base", "beyond")
        found.append(
            {name: getattr(origin, name) for name in figures}
            | {
                "source": SOURCES.get(known.source, known.source),
                "matters": MATTERS[known.matters],
                "query": query_number(affinity, query) - affinity.queries.prefix,
                "right": known.source in case.sources,
                "health": known.health.state,
            }
        )
    return found


def told_of_recall(n: int, name: str) -> dict[str, Any]:
    """Logits of a clip as it is and with all links to each frame cut, and the effect of one row."""
    model, net = honest.recall_network(name)
    clip = honest.SHOWN[n]
    capture = model.capture(honest.clips().clip(clip))
    assert capture.logits is not None
    with Rerun(capture) as rerun:
        cut = [rerun.run(CutFrames("nl", (f,))).logits.flatten().tolist() for f in range(5)]  # type: ignore[union-attr]
    cells = honest.trunk_cells(clip + 1)
    at = 256 + int(honest.read_most(net, cells)[clip])
    effect = row_effect(capture, "nl", at, seeds=1)
    assert effect is not None
    return {
        "clip": n, "network": "learned" if "gaussian" in name else "dot",
        "logits": capture.logits.flatten().tolist(), "cut": cut, "query": at,
        "strong": effect.strong,
    }  # fmt: skip


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("honest") / "expected.json"
    recall = [told_of_recall(n, "recall.embedded-gaussian") for n in CUT]
    recall.append(told_of_recall(1, "recall.dot-product"))
    told = {"pair": told_of_pair(), "quiz": told_of_quiz(), "recall": recall}
    path.write_text(json.dumps(told))
    return path


@claim("same", "cut", "needed", "quiz")
def test_rows_logits_and_verdicts_of_the_browser_are_those_of_the_library(expected: Path) -> None:
    told = json.loads(expected.read_text())
    assert all(each["right"] for each in told["quiz"])
    texts = json.loads(asset("lessons/honest/lesson.json").read_text("utf-8"))
    assert tuple(texts["screens"][4]["figure"]["clips"]) == CUT
    assert len(texts["screens"][-1]["figure"]["built"]) == len(told["quiz"]) == 10
    done = subprocess.run(
        [node(), "--test", str(SCRIPT)],
        env={**os.environ, "HONEST_DATA": str(DATA), "HONEST_EXPECTED": str(expected)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@claim("same")
def test_the_first_two_maps_look_alike_and_one_of_them_is_the_same_for_all() -> None:
    rows, origins = [], []
    for rule in ("same", "content"):
        plan = honest.plan_of(rule, seed=honest.PAIR_SEED, query=honest.PAIR_QUERY)
        capture = honest.planted_capture(plan)
        rows.append(capture.affinities["nl"].rows([honest.PAIR_QUERY])[0, 0])
        origins.append(row_origin(capture, "nl", honest.PAIR_QUERY, contents=1))
    assert in_common(*rows) == pytest.approx(number("pair_common"), abs=1e-4)
    assert origins[0].shared == pytest.approx(number("pair_a_shared"), abs=1e-4)
    assert (origins[0].shared or 0) > 0.8 > (origins[1].shared or 0)


@claim("sinks")
def test_one_sink_gives_every_query_the_same_one_nothing_and_lite_nl_has_none() -> None:
    text = nlviz.read_text(honest.TEXT)
    capture = nlviz.load_model("non-local-1d.recall", device="cpu").capture(text)
    found = nlviz.sinks(capture, blocks=["embedded_gaussian.1"])["embedded_gaussian.1"]
    assert found.kind(0) == "broadcast"
    assert found.value_ratio is not None and found.rank_output is not None
    assert float(found.value_ratio[0]) == pytest.approx(number("sink_text_ratio"), rel=1e-3)
    assert float(found.rank_output[0]) < 1.01  # the same vector for every query
    plan = honest.plan_of("sink", seed=3, query=9, gives=False)
    empty = nlviz.sinks(honest.planted_capture(plan))["nl"]
    assert empty.kind(0) == "off"
    assert float(empty.share.max()) == pytest.approx(number("sink_empty_share"), rel=1e-3)
    lite = nlviz.sinks(honest.lite_capture(), blocks=["stage4"])["stage4"]
    assert lite.kind(0) == "none"
    assert float(lite.multiple.max()) == pytest.approx(number("lite_sink"), rel=1e-3)


@claim("twins")
def test_an_untrained_block_is_sharp_and_seldom_right_a_trained_one_may_be_blurred() -> None:
    assert number("clips_all") == honest.CLIPS
    rows, even = honest.twin_rows(honest.CLIPS), honest.covered(honest.CLIPS).mean(-1)
    for key, row in rows.items():
        mass = honest.on_truth(row, honest.CLIPS)
        found = float((mass >= honest.FINDS * even).float().mean())
        assert found == pytest.approx(number(f"twin_{key}_found"), abs=0.011), key
        keys = float(torch.special.entr(row).sum(-1).exp().quantile(0.5))
        assert keys == pytest.approx(number(f"twin_{key}_effective"), rel=0.01), key
    # Why an untrained row is sharp: its logits lie far apart, and exp magnifies that.
    cells, block = honest.trunk_cells(2), honest.fresh_block()
    with torch.no_grad():
        theta = block.get_submodule("theta")(cells).flatten(2)[:, :, -64:]
        logits = torch.einsum("ndi,ndj->nij", theta, block.get_submodule("phi")(cells).flatten(2))
    assert float((logits.amax(-1) - logits.median(-1).values).median()) > 3
    assert number("twin_fresh_effective") < 10 < 100 < number("twin_dot_effective")
    trained = [number(f"twin_{key}_found") for key in ("learned", "soft", "dot")]
    assert min(trained) == number("twin_dot_found") > 4 * number("twin_fresh_found")
    fresh, shown = rows["fresh"], list(honest.SHOWN)
    on = honest.on_truth(fresh, honest.CLIPS)[shown] >= honest.FINDS * even[shown]
    assert bool(on[0]) and int(on.sum()) <= 2  # right by luck in the clip that is shown first


@claim("scaling")
def test_a_frame_with_little_weight_has_a_cell_of_full_brightness_on_its_own_scale() -> None:
    affinity = honest.lite_capture().affinities["stage4"]
    query = stored()[0]["maps"]["lite"]["query"]
    assert query < affinity.queries.size // 3  # in frame 1
    row = affinity.rows([query])[0, 0].view(3, -1)
    masses = row.sum(-1)
    assert float(masses.min()) < 0.05 < 0.5 < float(masses.max())
    # Each frame is divided by its own strongest cell; on one scale the weak one is next to nothing.
    assert float(row[masses.argmin()].max() / row.max()) < 0.1
    # The strongest cell is the query's own: a sign drawn over it would hide the strongest frame.
    assert int(row.argmax()) == query
    assert int(row.amax(1).argmax()) == int(masses.argmax()) == 0


@claim("cut")
def test_cutting_one_frame_changes_the_answer_and_as_many_links_at_random_do_not() -> None:
    model, _ = honest.recall_network("recall.embedded-gaussian")
    for n in CUT:
        clip = honest.SHOWN[n]
        capture = model.capture(honest.clips().clip(clip))
        for frame in range(4):
            found = nlviz.knock_out_frames(capture, "nl", frames=(frame,), seeds=2)
            assert found.cut.top1 == (frame == honest.clips().asked[clip]), (n, frame)
            assert not any(cut.top1 for cut in found.controls[0].cuts)


@claim("needed")
def test_the_clear_map_is_not_needed_and_the_blurred_one_is() -> None:
    capture = honest.lite_capture()
    head, arrays = stored()
    query = head["maps"]["lite"]["query"]
    effect = row_effect(capture, "stage4", query, seeds=1)
    assert effect is not None
    cuts = arrays["cut.lite"]
    assert effect.strong == pytest.approx(float(cuts[query]), abs=2e-4)
    assert np.abs(cuts).max() == pytest.approx(number("lite_most"), rel=1e-4)
    assert effect.largest < head["rules"]["least"]
    assert np.abs(cuts).max() < head["rules"]["least"]
    # Random cuts move it less still; and with nothing from the block the answer stays, too.
    assert arrays["chance.lite"].max() < head["rules"]["least"]
    assert abs(effect.none) < head["rules"]["least"]
    assert number("lite_frames") < head["rules"]["least"]
    assert capture.prediction(1)[0][0] == head["numbers"]["lite_answer"]
    row = capture.affinities["stage4"].rows([query])[0, 0]
    blurred = float(torch.special.entr(honest.twin_rows(2)["dot"][1]).sum().exp())
    assert float(row.sort(descending=True).values[:20].sum()) > 0.8  # of 798 cells
    assert float(torch.special.entr(row).sum().exp()) < 20 < 100 < blurred
    _, net = honest.recall_network("recall.dot-product")
    read = net.pooling(honest.trunk_cells(3)[:, :, -1]).flatten(1)[honest.SHOWN[1]]
    assert 0.1 < float(read.max() / read.sum()) < 0.5  # of the answer, at this cell: not all
    told = told_of_recall(1, "recall.dot-product")
    assert abs(told["strong"]) > head["rules"]["least"]
    logits = torch.tensor(told["logits"])
    answer = int(honest.clips().answers[honest.SHOWN[1]])
    assert int(logits.argmax()) == answer
    assert log_odds(logits, answer, independent=False) > 0


@claim("quiz")
def test_each_kind_is_there_twice_and_half_of_the_answers_need_the_row() -> None:
    quiz = stored()[0]["quiz"]
    cases = honest_quiz.chosen()
    assert sorted(case.sources[0] for case in cases) == sorted(
        2 * ["content", "position", "sink", "same", "near uniform"]
    )
    assert sum(bool(each["strong"]) and abs(each["strong"]) > 0.05 for each in quiz) == 5


def test_the_data_are_what_the_recipe_computes() -> None:
    head, arrays = stored()
    made: dict[str, Any] = {}
    maps: dict[str, Any] = {}
    numbers: dict[str, Any] = {}
    honest._pair(made, maps, numbers)
    honest._sinks(made, maps, numbers)
    honest._recall(made, maps, numbers)
    for name, array in made.items():
        np.testing.assert_allclose(arrays[name], array, rtol=2e-3, atol=2e-3, err_msg=name)
    for key, value in maps.items():
        assert head["maps"][key] == value, key
    for key, value in numbers.items():
        assert head["numbers"][key] == pytest.approx(value, rel=0.02, abs=1e-4), key
    capture = honest.lite_capture()
    np.testing.assert_allclose(
        arrays["cut.lite"][:3], honest.lite_cuts(capture, range(3)), atol=2e-4
    )
    drawn = [honest.lite_cuts(capture, range(3), n) for n in range(honest.LITE_DRAWS)]
    np.testing.assert_allclose(arrays["chance.lite"][:3], np.abs(drawn).max(0), atol=2e-4)
