"""Texts of lessons: numbers in their places, and what is marked in them."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PURE = Path(__file__).parents[2] / "nlviz" / "web" / "lesson" / "pure"
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
pytestmark = needs_node


def said(code: str) -> Any:
    """Run an expression over the lessons' pure modules; return what it gives."""
    names = ("filled", "inline", "progress", "axis", "number")
    imports = "".join(f"import * as {n} from '{PURE / n}.js';" for n in names)
    program = f"{imports} console.log(JSON.stringify({code}));"
    done = subprocess.run(
        ["node", "--input-type=module", "-e", program], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (0.12345, ".1%", "12.3\u00a0%"),
        (-3.456, ".2f", "−3.46"),
        (12345678, ",d", "12\u202f345\u202f678"),
        (0.5, "+.1f", "+0.5"),
        (0.0004, "", "4.0e−4"),
        (3.14159, "", "3.14"),
        (7, "", "7"),
        (-0.001, ".1f", "0.0"),
        (1234.5, ".0f", "1235"),
        (2.5, ".3", "2.5"),
    ],
)
def test_numbers_are_written_as_asked(value: float, form: str, text: str) -> None:
    assert said(f"filled.written({value}, {json.dumps(form)})") == text


def test_places_are_filled_from_the_first_source_and_formulas_left_alone() -> None:
    text = "h = {h:.1f}, n = {n}, {gone}, $x_{ij} \\sqrt{n}$, {no}"
    found = said(f"filled.filled({json.dumps(text)}, {{h: 2}}, {{h: 3, n: 16}}, null)")
    assert found == "h = 2.0, n = 16, {gone}, $x_{ij} \\sqrt{n}$, {no}"


def test_an_unknown_form_is_an_error() -> None:
    with pytest.raises(subprocess.CalledProcessError):
        said("filled.written(1, '.q')")


def test_a_text_is_shown_in_english_where_it_has_no_other() -> None:
    assert said("filled.inLanguage({en: 'a', zh: '甲'}, 'zh')") == "甲"
    assert said("filled.inLanguage({en: 'a', zh: '甲'}, 'ja')") == "a"


def test_what_is_marked_in_a_text_is_found() -> None:
    pieces = said(r"inline.piecesOf('a **b** *c* `d` $x_i$ e')")
    assert [(p["kind"], p["text"]) for p in pieces if p["text"].strip()] == [
        ("text", "a "),
        ("bold", "b"),
        ("stressed", "c"),
        ("code", "d"),
        ("formula", "x_i"),
        ("text", " e"),
    ]


def test_a_formula_is_read_sign_by_sign() -> None:
    signs = said(r"inline.signsOf('y_i = \\sum_j exp(\\theta_i) x^{2t}')")
    shown = [(s["kind"], s["text"]) for s in signs if s["text"].strip()]
    assert shown == [
        ("variable", "y"),
        ("low", "i"),
        ("upright", "="),
        ("upright", "Σ"),
        ("low", "j"),
        ("upright", "exp"),
        ("upright", "("),
        ("variable", "θ"),
        ("low", "i"),
        ("upright", ")"),
        ("variable", "x"),
        ("high", "2t"),
    ]


def test_progress_goes_through_an_address() -> None:
    screens = json.dumps(["one", "two", "three"])
    fields = {"screen": "two", "solved": "three,one", "at": '{"h":3}', "teacher": "1"}
    found = said(f"progress.progressOf({json.dumps(fields)}, {screens})")
    assert found == {
        "screen": "two",
        "solved": ["three", "one"],
        "at": {"h": 3},
        "teacher": True,
    }
    again = said(f"progress.fieldsOf({json.dumps(found)}, {screens})")
    assert again == {**fields, "solved": "one,three"}


@pytest.mark.parametrize(
    "fields",
    [{}, {"screen": "gone"}, {"at": '{"h":'}, {"at": "7", "screen": "one"}, {"solved": ",x"}],
)
def test_a_broken_address_opens_the_first_screen(fields: dict[str, str]) -> None:
    found = said(f"progress.progressOf({json.dumps(fields)}, ['one', 'two'])")
    assert found == {"screen": "one", "solved": [], "at": None, "teacher": False}
    assert said(f"progress.fieldsOf({json.dumps(found)}, ['one', 'two'])") == {}


def test_a_long_state_of_a_figure_is_not_kept_in_the_address() -> None:
    state = {"screen": "one", "solved": [], "at": {"a": "x" * 500}, "teacher": False}
    assert said(f"progress.fieldsOf({json.dumps(state)}, ['one'])") == {}


def test_ticks_are_round_and_inside() -> None:
    for least, most in [(0, 1), (-3.2, 17), (0.001, 0.0042), (1e5, 3e6)]:
        ticks = said(f"axis.ticksOf({least}, {most}, 5)")
        assert 3 <= len(ticks) <= 9
        assert min(ticks) >= least - 1e-9 and max(ticks) <= most + 1e-9 * abs(most)
    assert said("axis.powersOf(1, 1000)") == [1, 10, 100, 1000]
    assert said("axis.shareAlong({least: 1, most: 100, logarithmic: true})(10)") == pytest.approx(
        0.5
    )


def test_numbers_are_read_as_people_write_them() -> None:
    written = {
        "2.5": 2.5, "2,5": 2.5, "-0,25": -0.25, "0,250": 0.25, "−1/4": -0.25, "1 / 3": 1 / 3,
        "12 %": 12, "１２．５": 12.5, "12％": 12, ".5": 0.5, "3e10": 3e10,
        "1,000": 1000, "12,345,678.5": 12345678.5, "1 000": 1000,
    }  # fmt: skip
    found = said(f"{json.dumps(list(written))}.map(number.numberIn)")
    assert found == pytest.approx(list(written.values()))
    broken = ["", " ", "a", "1/0", "1/2/3", "1 2", "1,2,3", "-", "1..2", "%"]
    assert said(f"{json.dumps(broken)}.map(number.numberIn)") == [None] * len(broken)
