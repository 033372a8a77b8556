"""Painted cells survive their text, and the browser writes and reads the same."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nlviz.errors import InvalidView, OutsideClip
from nlviz.views.display import Display, parsed
from nlviz.views.painted import MOST_TEXT, painted_cells, painted_text
from tests.web.live_view.test_rows import node

SHAPE = (3, 5, 7)
MODULE = Path(__file__).parents[2] / "nlviz/web/live_view/pure/painted.js"


@settings(deadline=None, max_examples=60)
@given(st.sets(st.integers(0, 104)))
def test_cells_survive_their_text(cells: set[int]) -> None:
    text = painted_text(cells, SHAPE)
    assert painted_cells(text, SHAPE) == tuple(sorted(cells))
    assert Display(painted=text).painted == parsed("painted", text) == text
    assert painted_cells(text, (3, 7, 5)) == ()  # of another block


def test_the_browser_writes_and_reads_the_same() -> None:
    every = [[], [0], [104], [1, 2, 8], list(range(105)), list(range(0, 105, 3)), [50, 49, 51]]
    program = (
        f"import {{ paintedCells, paintedText }} from {json.dumps(MODULE.as_uri())};"
        f"const every = {json.dumps(every)}; const shape = {json.dumps(SHAPE)};"
        "console.log(JSON.stringify(every.map((cells) => {"
        "  const text = paintedText(cells, shape); return [text, paintedCells(text, shape)]; })));"
    )
    done = subprocess.run(
        [node(), "--input-type=module", "-e", program], capture_output=True, text=True, check=True
    )
    for cells, (text, read) in zip(every, json.loads(done.stdout), strict=True):
        assert text == painted_text(cells, SHAPE)
        assert read == sorted(cells) == list(painted_cells(text, SHAPE))


@pytest.mark.parametrize(
    "text",
    ["3x5x7", "3x5x7~", "3x5x7~1", "3x5x7~0.0", "3x5x7~0.2y", "3x5x7~0.zzz", "3x5~0.1", "~0.1"],
)
def test_what_says_no_cells_is_refused(text: str) -> None:
    with pytest.raises(InvalidView, match="painted must be cells of a grid, as in"):
        Display(painted=text)
    with pytest.raises(InvalidView, match="painted must be cells of a grid"):
        parsed("painted", text)


def test_cells_beyond_the_grid_or_too_many_are_refused() -> None:
    with pytest.raises(OutsideClip, match="from 0 to 104, got 3 to 105"):
        painted_text([3, 105], SHAPE)
    with pytest.raises(InvalidView, match=f"a view holds {MOST_TEXT}; paint fewer"):
        painted_text(range(0, 4000, 2), (4, 25, 40))
