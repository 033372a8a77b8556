"""Digests and sizes of files, and files that are written whole or not at all."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nlviz.errors import NlvizError
from nlviz.files.local import bytes_in_words, digest_of, suffix_of, write_whole

UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@given(st.binary(max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_files_digest_is_that_of_its_bytes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(content)
    assert digest_of(path) == digest_of(content) == hashlib.sha256(content).hexdigest()
    assert digest_of(path, "sha1") == hashlib.sha1(content).hexdigest()


@given(st.integers(0, 2**43))
def test_words_say_the_size_to_a_tenth_of_their_unit(count: int) -> None:
    number, unit = bytes_in_words(count).split()
    assert abs(float(number) * UNITS[unit] - count) <= 0.05 * UNITS[unit] + 1e-9 * count
    assert unit == "B" or float(number) >= 1
    assert unit == "GiB" or float(number) <= 1024


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "look.png"
    path.write_bytes(b"before")
    assert write_whole(path, b"after") == path
    assert path.read_bytes() == b"after"
    with pytest.raises(NlvizError, match="cannot be written"):
        write_whole(tmp_path / "missing" / "look.png", b"after")
    assert [p.name for p in tmp_path.iterdir()] == ["look.png"]


@pytest.mark.parametrize(
    ("kinds", "listed"), [(("png",), ".png"), (("png", "gif", "npz"), ".png, .gif or .npz")]
)
def test_endings_that_are_not_known_are_refused_with_those_that_are(
    kinds: tuple[str, ...], listed: str
) -> None:
    with pytest.raises(NlvizError, match=re.escape(f"a view is saved as {listed}, got 'a.webm'")):
        suffix_of("folder/a.webm", kinds, what="a view")
