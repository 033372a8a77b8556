"""Numbers in words: the page and the figures round alike, halves among them."""

from __future__ import annotations

import json
import subprocess
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from nlviz.sentences import clock_text, seconds_text
from nlviz.words.numbers import change_text, multiple_text, number_text, percent_text, power_text
from tests.web.live_view.test_rows import node

THEIRS = {
    "percentText": percent_text,
    "changeText": change_text,
    "multipleText": multiple_text,
    "numberText": number_text,
    "powerText": power_text,
    "secondsText": partial(seconds_text, space="\u00a0"),
    "clockText": partial(clock_text, space="\u00a0"),
}


def values() -> list[float]:
    """Return numbers of every size and sign: random ones, halves at many places, powers of ten."""
    rng = np.random.default_rng(5)
    sizes = 10 ** rng.uniform(-8, 8, 3000)
    halves = [(n + 0.5) * unit for n in range(150) for unit in (1e-4, 1e-3, 0.01, 0.1, 1, 10)]
    eighths = [n / 2**k for n in range(1, 200) for k in range(1, 12)]
    edges = [step * 10.0**k for k in range(-8, 9) for step in (0.95, 0.995, 0.9995, 1, 5, 9.95)]
    positive = [*map(float, sizes), *halves, *eighths, *edges]
    return [0.0, *positive, *(-value for value in positive)]


@pytest.fixture(scope="module")
def said() -> dict[str, list[str]]:
    """What the browser's functions say of these numbers."""
    script = Path(__file__).with_name("said.mjs")
    done = subprocess.run(
        [node(), str(script)], input=json.dumps(values()), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("name", THEIRS)
def test_browser_and_python_say_a_number_alike(name: str, said: dict[str, list[str]]) -> None:
    # Files are lettered with a plain minus and an unbreakable space, the page with finer ones.
    theirs = [text.replace("\u2212", "-").replace("\u202f", "\u00a0") for text in said[name]]
    ours = [THEIRS[name](value) for value in values()]
    assert len(ours) > 8000
    apart = [(v, a, b) for v, a, b in zip(values(), ours, theirs, strict=True) if a != b]
    assert apart == []


def test_halves_go_away_from_zero() -> None:
    assert percent_text(0.025) == "3\u00a0%"
    assert percent_text(0.125) == "13\u00a0%"
    assert change_text(-0.00125) == "-0.1\u00a0%"  # 0.125: no half at one decimal
    assert number_text(2.125) == "2.13"
    assert multiple_text(1.25) == "1.3×"
    assert number_text(float("nan")) == "–"
