"""Lesson 2: what its screens claim, from the library's affinities; its arithmetic and judges."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise, PairwiseName
from nlviz.recipes.lessons.equation import G, X, make
from nlviz.web.lesson_pages import data, texts
from nlviz.web.payloads.container import unpack
from tests.lessons.claims import claim
from tests.lessons.pure import Pure

LESSON = Pure("equation")
NUMBERS = data("equation")[0]["numbers"]
QUERY, FAR, DARK, LIGHT, EDITED = 0, 15, 5, 6, 9
Row = npt.NDArray[np.float64]


def picture(**changes: Any) -> dict[str, Any]:
    """Return the state of the worked sum, as the figure reads it to judges."""
    opening = {
        "side": 4,
        "x": np.ravel(X).tolist(),
        "g": np.ravel(G).tolist(),
        "query": QUERY,
        "key": FAR,
        "temperature": 2.0,
        "pairwise": "gaussian",
        "a": 1.0,
        "b": 0.0,
    }
    return {**opening, **changes}


def rows(state: dict[str, Any]) -> Row:
    """Return the rows of all queries, by the library."""
    x = torch.tensor(state["x"], dtype=torch.float64).reshape(1, -1, 1)
    grid = TokenGrid((1, state["side"], state["side"]), (1, 1, 1))
    softmax = state["pairwise"] == "gaussian"
    name: PairwiseName = "embedded_gaussian" if softmax else "dot_product"
    scale = 1 / state["temperature"] if softmax else 1.0
    theta = state["a"] * x + state["b"]
    affinity = EmbeddedAffinity("picture", Pairwise(name, scale), theta, x, grid, grid)
    found: Row = affinity.rows(range(len(state["x"])))[0].numpy()
    return found


def row(state: dict[str, Any]) -> Row:
    found: Row = rows(state)[state["query"]]
    return found


def output(state: dict[str, Any]) -> float:
    return float(row(state) @ np.array(state["g"]))


def edited(values: list[float], pixel: int, value: float) -> list[float]:
    return [value if j == pixel else other for j, other in enumerate(values)]


def test_the_bundled_data_is_what_the_recipe_makes() -> None:
    header, arrays = unpack(make())
    bundled, bundled_arrays = data("equation")
    assert header == bundled
    assert all(np.array_equal(arrays[name], bundled_arrays[name]) for name in bundled_arrays)


@pytest.mark.parametrize("pairwise", ["gaussian", "dot_product"])
def test_the_worked_sum_is_the_librarys(pairwise: str) -> None:
    random = np.random.default_rng(7)
    states = []
    for side, query, key in ((3, 7, 2), (4, 1, 14), (5, 23, 0)):
        x, g = random.normal(size=(2, side * side)).round(3).tolist()
        states.append(
            picture(
                side=side, x=x, g=g, query=query, key=key, pairwise=pairwise,
                temperature=0.7, a=0.6, b=-0.3,
            )
        )  # fmt: skip
    for state, found in zip(
        states, LESSON.call(*(("worked", "workedSum", s) for s in states)), strict=True
    ):
        np.testing.assert_allclose(found["weights"], row(state), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found["y"], output(state), rtol=1e-9)
        np.testing.assert_allclose(np.array(found["f"]) / found["c"], row(state), atol=1e-12)
        assert sum(found["products"]) == pytest.approx(found["y"])


@claim("pairs")
def test_f_depends_on_both_pixels_and_not_on_where_they_lie() -> None:
    state = picture()
    x = np.array(state["x"])
    f = np.exp(x[QUERY] * x / NUMBERS["temperature"])
    assert NUMBERS["f_far"] == pytest.approx(f[FAR], rel=1e-6)
    assert NUMBERS["f_dark"] == pytest.approx(f[DARK], rel=1e-6)
    screens = [screen["id"] for screen in texts("equation")["screens"]]
    turned = screens.index("temperature") + 1
    told = LESSON.screen("pairs")["text"]
    assert f"screen {turned} " in told["en"]
    assert f"第 {turned} 页" in told["zh"] and f"画面{turned}で" in told["ja"]
    # The product is large for two of one sign, and exp keeps f positive.
    assert (f > 0).all() and np.array_equal(f > 1, x[QUERY] * x > 0)
    places = np.array([divmod(j, 4) for j in range(16)])
    away = np.abs(places - places[QUERY])
    assert np.hypot(*away.T).argmax() == FAR  # the corner farthest from i
    assert away[DARK].max() == 1 and x[DARK] < 0  # dark, and touches i
    verdicts = LESSON.judged(
        "judgeAlike", "pairs", *({"reading": picture(query=q)} for q in range(16))
    )
    for query, verdict in enumerate(verdicts):
        alike = float(np.ptp(row(picture(query=query)))) < 1e-9
        assert verdict["right"] == alike == (x[query] == 0), query
        products = np.exp(x[query] * x / 2)
        assert verdict["values"]["most"] == pytest.approx(products.max())
        assert verdict["values"]["least"] == pytest.approx(products.min())
    assert sum(v["right"] for v in verdicts) == 1
    assert {v["say"] for v in verdicts} == {"right", "differ"}


@claim("weights")
def test_a_row_is_positive_and_sums_to_1_and_the_far_corner_has_most_of_it() -> None:
    found = row(picture())
    assert (found > 0).all() and found.sum() == pytest.approx(1)
    assert found.argmax() == FAR
    share = 100 * found[FAR]
    f, c = NUMBERS["f_far"], NUMBERS["c"]
    answers = {
        share: "right", share + 1.4: "right", share - 1.6: "too-low", share + 1.6: "too-high",
        f: "not-divided", 6: "uniform", found[FAR]: "share", 30: "too-low", 99: "too-high",
    }  # fmt: skip
    verdicts = LESSON.judged("judgeWeight", "weights", *({"given": given} for given in answers))
    for (given, said), verdict in zip(answers.items(), verdicts, strict=True):
        assert verdict["say"] == said, given
        assert verdict["values"]["weight"] == pytest.approx(share, rel=1e-5)
        assert verdict["values"]["f"] == pytest.approx(f, rel=1e-5)
        if said in ("too-low", "too-high"):
            assert verdict["values"]["back"] == pytest.approx(given / 100 * c, rel=1e-5)


@claim("weights")
def test_a_row_is_one_row_of_a_table_of_all_queries() -> None:
    state = picture()
    table = LESSON.call(*(("worked", "rowOf", state, query) for query in range(16)))
    assert rows(state).shape == (16, 16)
    np.testing.assert_allclose(table, rows(state), rtol=1e-9)
    assert "table" in LESSON.screen("weights")["figure"]["panels"]


@claim("sum")
def test_every_query_has_an_output_of_its_own() -> None:
    outputs = {picture()["x"][query]: output(picture(query=query)) for query in range(16)}
    assert len({round(y, 6) for y in outputs.values()}) == len(outputs) == 6


@claim("sum")
def test_a_value_moves_the_output_by_its_weight_and_only_heavy_pixels_reach_the_target() -> None:
    assert NUMBERS["y"] == pytest.approx(output(picture()), rel=1e-5)
    target = LESSON.screen("sum")["figure"]["target"]
    asked = LESSON.screen("sum")["question"]["text"]
    assert all(f"{target}" in text for text in asked.values())
    weights = row(picture())
    answers, wanted = [], []
    for pixel in range(16):
        # What this value would have to be, and the nearest that the slider has.
        needed = G[pixel // 4][pixel % 4] + (target - output(picture())) / weights[pixel]
        value = float(np.clip(round(needed, 1), 0, 9))
        state = picture(key=pixel, g=edited(picture()["g"], pixel, value))
        answers.append({"reading": state})
        wanted.append(0 <= needed <= 9)
        lower = picture(g=edited(picture()["g"], pixel, picture()["g"][pixel] - 1))
        assert output(picture()) - output(lower) == pytest.approx(weights[pixel])
        assert np.array_equal(row(lower), row(picture()))
    verdicts = LESSON.judged("judgeTarget", "sum", *answers)
    assert [v["right"] for v in verdicts] == wanted
    assert sum(wanted) == 1 and wanted[FAR]
    assert {v["say"] for v in verdicts} == {"right", "light"}
    for answer, verdict in zip(answers, verdicts, strict=True):
        assert verdict["values"]["y"] == pytest.approx(output(answer["reading"]))
    held = (picture(key=FAR), picture(key=FAR, g=edited(picture()["g"], FAR, 0)))
    too = LESSON.judged("judgeTarget", "sum", *({"reading": state} for state in held))
    assert [v["say"] for v in too] == ["too-high", "too-low"]


@claim("pixel")
def test_one_pixel_changes_every_weight_of_a_softmax() -> None:
    screen = LESSON.screen("pixel")
    pixel, to = screen["question"]["pixel"], screen["question"]["to"]
    assert pixel == screen["figure"]["key"] == EDITED and picture()["x"][pixel] == -1 and to == 3
    before, after = row(picture()), row(picture(x=edited(picture()["x"], pixel, to)))
    assert (np.abs(after - before) > 1e-6).all()
    others = np.arange(16) != pixel
    assert (after[others] < before[others]).all() and after[pixel] > before[pixel]
    given = [option["id"] for option in screen["question"]["options"]]
    verdicts = dict(
        zip(given, LESSON.judged("judgeChanged", "pixel", *({"given": g} for g in given)),
            strict=True)
    )  # fmt: skip
    assert {g: v["say"] for g, v in verdicts.items()} == {
        "none": "few", "one": "few", "near": "near", "all": "right",
    }  # fmt: skip
    assert {g: v["values"]["said"] for g, v in verdicts.items()} == {
        "none": 0, "one": 1, "near": 9, "all": 16,
    }  # fmt: skip
    values = verdicts["all"]["values"]
    assert values["changed"] == 16
    assert values["own"] == pytest.approx(before[QUERY])
    assert values["own_after"] == pytest.approx(after[QUERY])
    x = np.array(picture()["x"])
    assert values["c"] == pytest.approx(np.exp(x).sum())
    assert values["after"] == pytest.approx(np.exp(x).sum() - np.exp(-1) + np.exp(3))
    # The query does not touch the pixel, and its weight changes all the same.
    assert max(abs(pixel // 4 - QUERY // 4), abs(pixel % 4 - QUERY % 4)) > 1


@claim("temperature")
def test_the_temperature_runs_from_the_winner_to_the_mean() -> None:
    screen = LESSON.screen("temperature")
    powers = np.arange(-2, 6.001, 0.125)
    states = [picture(temperature=float(2**p)) for p in powers]
    verdicts = LESSON.judged(
        "judgeTemperature", "temperature", *({"reading": state} for state in states)
    )
    for state, verdict in zip(states, verdicts, strict=True):
        found, values = row(state), verdict["values"]
        assert verdict["right"] == (found.max() >= screen["question"]["wanted"])
        entropy = -(found * np.log(np.maximum(found, 1e-300))).sum()
        assert values["effective"] == pytest.approx(np.exp(entropy))
        assert values["most"] == pytest.approx(found.max())
        assert values["y"] == pytest.approx(output(state))
    assert {v["say"] for v in verdicts} == {"right", "spread", "uniform"}
    cold, warm = row(states[0]), row(states[-1])
    assert cold.max() > 0.99 and cold.argmax() == FAR  # one key takes all, and not the query
    assert picture()["x"][FAR] > picture()["x"][QUERY]
    assert np.abs(warm - 1 / 16).max() < 0.01
    assert output(states[-1]) == pytest.approx(np.mean(G), abs=0.1)
    assert output(states[0]) == pytest.approx(verdicts[0]["values"]["g"], abs=0.01)
    # Large T: about 1/16 each, but not quite.
    assert 0.055 < warm.min() < 1 / 16 < warm.max() < 0.07
    # The strongest share falls all the way.
    assert (np.diff([row(state).max() for state in states]) < 0).all()


@claim("dot")
def test_the_dot_product_is_signed_divides_by_the_pixels_and_does_not_compete() -> None:
    state = picture(pairwise="dot_product")
    found = row(state)
    assert found[DARK] == pytest.approx(-0.25)
    assert found.sum() == pytest.approx(NUMBERS["dot_sum"])
    assert (np.array(state["x"]) * state["x"][QUERY]).sum() < 0  # their sum would be no good C
    for pixel in set(range(16)) - {DARK, QUERY}:
        other = row(picture(pairwise="dot_product", x=edited(state["x"], pixel, 2.5)))
        assert other[DARK] == found[DARK]
    answers = {-0.25: "right", 0.25: "sign", -4: "not-divided", 4: "not-divided", -0.3: "other"}
    verdicts = LESSON.judged("judgeDot", "dot", *({"given": given} for given in answers))
    assert [v["say"] for v in verdicts] == list(answers.values())
    values = verdicts[0]["values"]
    assert values["negative"] == int((found < 0).sum())
    assert values["sum"] == pytest.approx(found.sum())
    assert verdicts[-1]["values"]["back"] == pytest.approx(-0.3 * 16)


@claim("theta")
def test_a_constant_theta_gives_every_query_the_same_row() -> None:
    slides = [(a / 10, b / 10) for a, b in itertools.product((-10, -1, 0, 3, 10), (-5, 0, 1, 8))]
    states = [picture(a=a, b=b) for a, b in slides]
    verdicts = LESSON.judged("judgeSame", "theta", *({"reading": state} for state in states))
    for (a, b), state, verdict in zip(slides, states, verdicts, strict=True):
        found = rows(state)
        apart = max(np.abs(p - q).sum() / 2 for p, q in itertools.combinations(found, 2))
        assert verdict["values"]["apart"] == pytest.approx(apart, abs=1e-9)
        same = apart < 1e-9
        assert same == (a == 0)
        uniform = same and np.ptp(found) < 1e-9
        said = "uniform" if uniform else "right" if same else "differ"
        assert verdict["say"] == said, (a, b)
        if said == "right":
            outputs = found @ np.array(state["g"])
            assert np.ptp(outputs) < 1e-9
            assert verdict["values"]["y"] == pytest.approx(outputs[0])
    # The lesson that the answer names has that title.
    named = texts("honest")["title"]
    said = LESSON.screen("theta")["question"]["says"]["right"]
    assert all(named[language] in said[language] for language in said)
    # With a = 1 and b = 0 all is as before.
    assert np.array_equal(rows(picture(a=1, b=0)), rows(picture()))


@claim("sentence")
def test_one_sentence_gives_the_output_and_the_others_do_not() -> None:
    x, g = np.array(picture()["x"]), np.ravel(G)
    f = np.exp(x[QUERY] * x / 2)
    near = [0, 1, 4, 5]
    wanted = {
        "near": (f[near] @ g[near]) / f[near].sum(),
        "winner": float(g[f.argmax()]),
        "shares": output(picture()),
        "raw": f @ g,
    }
    given = [option["id"] for option in LESSON.screen("sentence")["question"]["options"]]
    assert set(given) == set(wanted)
    verdicts = LESSON.judged("judgeSentence", "sentence", *({"given": g} for g in given))
    for option, verdict in zip(given, verdicts, strict=True):
        assert verdict["values"]["own"] == pytest.approx(wanted[option]), option
        assert verdict["right"] == (option == "shares")
        if option != "shares":
            assert abs(wanted[option] - wanted["shares"]) > 0.2


def test_what_an_address_keeps_opens_the_sum_again_and_nonsense_does_not() -> None:
    spec = {"x_range": [-3, 3], "g_range": [0, 9]}
    opening = picture()
    moved = picture(query=3, key=6, temperature=0.5, a=0.2, b=-0.4, g=edited(opening["g"], 6, 1.5))
    (kept,) = LESSON.call(("kept", "keptSum", moved, opening))
    assert len(str(kept)) < 200
    nonsense = {"query": "x", "key": 99, "temperature": -4, "g": 4}
    nonsense["x"] = [[1, 50], ["y", 2], [], 3]
    again, mended, nothing = LESSON.call(
        ("kept", "restoredSum", kept, opening, spec),
        ("kept", "restoredSum", nonsense, opening, spec),
        ("kept", "restoredSum", "nonsense", opening, spec),
    )
    assert again == moved
    assert nothing == opening
    assert mended == picture(key=15, temperature=0.25, x=edited(opening["x"], 1, 3))


def test_numbers_are_written_in_few_signs() -> None:
    written = LESSON.call(
        *(("numbers", "cellNumber", value) for value in (54.598, 7.389, 0.1353, 148.41, -0.25, 2)),
        ("numbers", "cellNumber", 0.0009), ("numbers", "cellNumber", 5.3e10),
        *(("numbers", "cellShare", value) for value in (0.412, 0.0558, 0.0002, 0.0, 1.0)),
        ("numbers", "plainNumber", -0.125), ("numbers", "factor", -2),
    )  # fmt: skip
    assert written[:8] == ["54.6", "7.39", "0.14", "148", "−0.25", "2", "<.01", "5e10"]
    assert written[8:13] == ["41%", "5.6%", "<0.1%", "0%", "100%"]
    assert written[13:] == ["−0.125", "(−2)"]
    largest = float(np.exp(6 / 0.25))  # f of the strongest pair at the smallest T
    spoken = LESSON.call(
        *(("numbers", "spokenNumber", largest, language) for language in ("en", "zh", "ja")),
        ("numbers", "spokenNumber", 20.0855, "en"),
    )
    assert spoken == ["26 billion", "260 亿", "260億", "20.1"]
