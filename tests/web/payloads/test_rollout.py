"""A rollout in a live view: offered where rows can follow, its row sent where it is shown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import nlviz
from nlviz.affinity.variants import ROLLOUT
from nlviz.analysis.controls import variant_affinity
from nlviz.analysis.rollout import no_rollout
from nlviz.render.save import attention_of, overlay_of
from nlviz.views.view import View
from nlviz.web.payloads.container import pack, unpack
from nlviz.web.payloads.live_view import live_view
from tests.cli.test_cli import run
from tests.families.small_transformers import small
from tests.families.timm.test_vit import clip, vit
from tests.nets import noise_clip
from tests.web.live_view.test_rows import run_node

BLOCK, AT = "blocks.1", (0, 9, 20)


@pytest.fixture(scope="module")
def capture() -> nlviz.Capture:
    return nlviz.capture(vit(), clip())


def test_it_is_offered_where_rows_can_follow_and_costs_nothing_before(
    capture: nlviz.Capture,
) -> None:
    keys = {s["key"]: s for s in unpack(live_view(capture, BLOCK, served=True))[0]["sources"]}
    assert "rollout" in keys
    assert keys["rollout"]["server"] and "row" not in keys["rollout"]
    assert keys["rollout"]["tokens"][0]["name"] == "cls"
    alone = unpack(live_view(capture, BLOCK))[0]["sources"]
    assert "rollout" not in [source["key"] for source in alone]
    first = unpack(live_view(capture, "blocks.0", served=True))[0]["sources"]
    assert "rollout" not in [source["key"] for source in first]  # it would be the layer itself


@pytest.mark.parametrize("residual", [0.5, 0.2])
def test_the_browser_shows_the_row_that_python_has(
    capture: nlviz.Capture, tmp_path: Path, residual: float
) -> None:
    shown = {"source": "rollout", "residual": residual}
    header, arrays = unpack(live_view(capture, BLOCK, query=AT, display=shown))
    rolled = nlviz.rollout(capture, upto=BLOCK, residual=residual)
    cases, sections = [], dict(arrays)
    place = dict(zip(("frame", "y", "x"), AT, strict=True))
    for token in ("", "cls", "registers.1"):
        wanted = rolled.map(token=token) if token else rolled.map(**place)
        flat = 0 if token else rolled.queries.nearest(**place)
        sections[f"expected {token}"] = wanted.weights.ravel()
        view = {**shown, "token": token}
        told = {"apart": wanted.off_grid, "expected": f"expected {token}", "tolerance": 1e-5}
        cases.append({"name": token, "query": place, "token": flat, "view": view, **told})
    path = tmp_path / "rollout.bin"
    path.write_bytes(pack({**header, "cases": cases * 7}, sections))
    run_node("rows.test.mjs", NLVIZ_CONTAINER=str(path))


def test_figures_and_the_command_say_what_it_is(capture: nlviz.Capture, tmp_path: Path) -> None:
    display = {"source": "rollout", "residual": 0.25, "direction": "to"}
    view = View.of(capture, BLOCK, frame=0, y=9, x=20, display=display)
    rolled = nlviz.controls(capture, BLOCK)["rollout"]
    wanted = nlviz.rollout(capture, upto=BLOCK, residual=0.25).map(frame=0, y=9, x=20)
    np.testing.assert_allclose(attention_of(rolled, view).weights, wanted.weights, atol=1e-7)
    drawn = overlay_of(capture, rolled, view)
    assert "rollout" in drawn.about
    assert any("25 %" in note and "residual path" in note for note in drawn.notes)
    path = capture.save(tmp_path / "c.nlviz")
    options = ("--query", "0,9,20", "--source", "rollout", "--residual", "0.25")
    done = run("attend", str(path), *options, "-o", str(tmp_path / "a.json"))
    assert done.exit_code == 0, done.output
    assert View.from_json((tmp_path / "a.json").read_text()).display.residual == 0.25


def test_layers_of_other_tokens_are_refused_in_a_sentence() -> None:
    capture = nlviz.capture(small("timesformer"), noise_clip(3, 30, 30))
    last = list(capture.affinities)[-1]
    assert "rollout" not in nlviz.controls(capture, last)
    assert "multiplies layers on the same tokens" in no_rollout(capture, last)
    with pytest.raises(nlviz.NlvizError, match="multiplies layers on the same tokens"):
        variant_affinity(ROLLOUT, capture, last)
    convolutions = nlviz.load_model("lite-nl").capture(noise_clip(2, 64, 64))
    assert no_rollout(convolutions, "stage4") == ""
    assert "rollout" not in nlviz.controls(convolutions, "stage4")
