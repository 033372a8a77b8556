"""Every family, on a live network and on a file of its own; a family without either fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nlviz.families import FAMILIES
from tests.families.conformance import LIVE, check_file, check_live, named, uncovered
from tests.families.writers import WRITERS

pytestmark = pytest.mark.slow


def test_every_family_is_covered() -> None:
    assert not uncovered(FAMILIES, LIVE, WRITERS)
    assert set(LIVE) | set(WRITERS) == set(named())


def test_a_family_that_is_not_covered_would_be_found() -> None:
    new = replace(named()["gluoncv"], name="new")
    found = uncovered((*FAMILIES, new), LIVE, WRITERS)
    assert found == {"new": ["a live network", "a file"]}


@pytest.mark.parametrize("name", LIVE)
def test_a_live_network(name: str) -> None:
    check_live(named()[name], LIVE[name]())


@pytest.mark.parametrize("name", WRITERS)
def test_a_file(name: str, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path)
    try:
        check_file(named()[name], path)
    finally:
        path.unlink()
