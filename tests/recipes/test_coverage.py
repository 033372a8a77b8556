"""The table of architectures in the documentation: what it holds, and that a command gives it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlviz.recipes.architectures import TIMM, TORCHVISION, TRANSFORMERS, architectures
from nlviz.recipes.coverage import BEGIN, END, HEAD, covered

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"


def rows() -> dict[str, list[str]]:
    """Return the cells of each row of the page, by the name of the architecture."""
    _, _, rest = PAGE.read_text("utf-8").partition(BEGIN)
    table = rest.partition(END)[0]
    lines = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| `")]
    return {cells[0].strip("`"): cells for cells in lines}


def test_the_page_holds_every_architecture() -> None:
    names = [*TIMM, *TORCHVISION, *(model for model, *_ in TRANSFORMERS)]
    assert sorted(rows()) == sorted(names)
    assert len(TIMM) >= 45
    assert len(TORCHVISION) >= 10
    assert len(TRANSFORMERS) >= 16


def test_no_row_of_the_page_is_off_from_the_networks_own_weights() -> None:
    compared = 0
    for name, cells in rows().items():
        difference = cells[HEAD.index("against the network's own weights")]
        if difference != "–":
            assert float(difference.split()[0]) < 1e-5, name
            compared += 1
    assert compared >= 45


@pytest.mark.parametrize("name", ["vit_tiny_r_s16_p8_224", "ViTModel", "TimesformerModel"])
def test_a_part_of_the_page_is_what_the_command_gives(name: str) -> None:
    if name.endswith("Model"):
        pytest.importorskip("transformers")
    found = covered(next(a for a in architectures() if a.name == name))
    measured = {HEAD.index("receipt"), HEAD.index("against the network's own weights")}
    for i, (ours, theirs) in enumerate(zip(found.cells, rows()[name], strict=True)):
        assert i in measured or ours == theirs
    assert found.difference is not None
    assert found.difference < 1e-5
