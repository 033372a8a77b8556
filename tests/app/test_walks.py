"""Walks at random through both pages' Python side: whatever is changed, all that is said agrees."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.app.test_denoise import address, page
from tests.app.test_explore import app
from tests.app.widgets import the

WALKS, STEPS = 4, 12


def saved(test: AppTest, button: str) -> dict[str, Any]:
    """Click a button that saves, and return the JSON that is handed over."""
    (found,) = [b for b in test.button if b.key == button]
    found.click().run()
    name = button.removesuffix("json")
    container = test.session_state[f"{name}files"][-1].container
    whole: dict[str, Any] = json.loads(container[4 + int.from_bytes(container[:4], "little") :])
    return whole


def expected_point(test: AppTest, state: str) -> list[float]:
    return [round(v, 2) for v in test.session_state[state].where]


def explore_step(test: AppTest, draw: random.Random) -> str:
    change: tuple[Any, str, Any] = draw.choice(
        (
            (test.selectbox, "input", draw.choice(("cat.jpg", "coffee.jpg", "bunny.mp4"))),
            (test.selectbox, "block", draw.choice(("stage3", "stage4"))),
            (test.number_input, "frames", draw.choice((1, 2, 3))),
            (test.number_input, "start", draw.choice((0.0, 0.5))),
            (test.number_input, "query_y", draw.randrange(0, 200)),
            (test.number_input, "query_x", draw.randrange(0, 200)),
        )
    )
    widgets, field, value = change
    the(widgets, field).set_value(value).run()
    return f"{field} {value}"


@pytest.mark.parametrize("seed", range(WALKS))
def test_a_walk_through_explore(seed: int) -> None:
    draw, done = random.Random(seed), []
    test = app(clip="cat.jpg", frames="2")
    for _ in range(STEPS):
        done.append(explore_step(test, draw))
        assert not test.exception and not test.error, done
        now, params = test.session_state["explore"], address(test)
        assert params["clip"] == now.input == the(test.selectbox, "input").value, done
        assert params["block"] == now.block == the(test.selectbox, "block").value, done
        assert params.get("frames", "8") == str(now.frames), done
        at = [float(v) for v in params["at"].split(",")]
        assert at == expected_point(test, "explore"), done
        for field, value in (("query_y", at[1]), ("query_x", at[2])):
            assert abs(the(test.number_input, field).value - value) <= 0.51, done
    view = saved(test, "save-json")
    assert [round(view["query"][n], 2) for n in ("frame", "y", "x")] == at, done
    assert (view["clip"]["name"], view["block"]) == (params["clip"], params["block"]), done


def denoise_step(test: AppTest, draw: random.Random) -> str:
    change: tuple[Any, str, Any] = draw.choice(
        (
            (test.selectbox, "dn_picture", draw.choice(("cat.jpg", "coffee.jpg"))),
            (test.selectbox, "dn_size", draw.choice((128, 192))),
            (test.toggle, "dn_grey", draw.random() < 0.5),
            (test.toggle, "dn_clipped", draw.random() < 0.5),
            (test.slider, "dn_sigma", draw.choice((12.0, 25.0, 60.0))),
            (test.number_input, "dn_seed", draw.randrange(3)),
            (test.number_input, "dn_query_y", draw.randrange(48)),
            (test.number_input, "dn_query_x", draw.randrange(48)),
            (test.selectbox, "dn_other", draw.choice(("mean", "gaussian"))),
            (test.slider, "dn_p_gaussian_spatial", draw.choice((0.8, 1.2))),
        )
    )
    widgets, field, value = change
    the(widgets, field).set_value(value).run()
    return f"{field} {value}"


@pytest.mark.parametrize("seed", range(WALKS))
def test_a_walk_through_denoise(seed: int) -> None:
    draw, done = random.Random(seed), []
    test = page({"size": "128", "with": "gaussian"})
    openings: dict[tuple[object, ...], object] = {}
    for _ in range(STEPS):
        done.append(denoise_step(test, draw))
        assert not test.exception and not test.error, done
        now, params = test.session_state["denoise"], address(test)
        view = now.view()
        assert {**view.to_query_params()} == params, done
        # Only what was set is told as set, whatever the noise was moved to meanwhile.
        touched = any("dn_p_gaussian" in step for step in done)
        assert touched or "set" not in params, done
        told = next(c.value for c in test.caption if "pixel y" in c.value)
        y, x = (int(v) for v in re.findall(r"pixel y (\d+), x (\d+)", told)[0])
        assert abs(now.where.y - y) <= 0.51 and abs(now.where.x - x) <= 0.51, done
        summary = next(m.value for m in test.markdown if " px" in m.value and "seed" in m.value)
        assert f"sigma {now.sigma:g}, seed {now.seed}" in summary, done
        assert summary.startswith(now.picture.replace(".", r"\.")) or now.picture in summary, done
        if now.query is None:
            key = (now.picture, now.size, now.grey)
            assert openings.setdefault(key, now.where) == now.where, done
    whole = saved(test, "dn_save_json")
    assert whole["format"] == "nlviz.comparison"
