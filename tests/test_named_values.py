"""Values that people type, read by one rule everywhere."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlviz.cli.denoise import parsed_parameters
from nlviz.errors import NlvizError
from nlviz.families.reading.flags import parsed_flags
from nlviz.named_values import named_value, value_of

NUMBERS = st.integers() | st.floats(allow_nan=False)
NAMES = st.text("abc_", min_size=1)


@given(NUMBERS)
def test_numbers_mean_themselves_and_keep_their_type(number: float) -> None:
    found = value_of(repr(number))
    assert found == number
    assert type(found) is type(number)
    if isinstance(number, float):
        assert math.copysign(1, found) == math.copysign(1, number)  # type: ignore[arg-type]


@given(NAMES, NUMBERS)
def test_flags_and_parameters_mean_the_same(name: str, number: float) -> None:
    text = f"{name}={number!r}"
    assert parsed_flags([text]) == parsed_parameters([text]) == {name: number}


@pytest.mark.parametrize("text", ["", "=", "=3", "name", "name=", " =3"])
def test_texts_without_a_name_or_a_value_are_refused(text: str) -> None:
    with pytest.raises(NlvizError, match=r"a word is NAME=VALUE, got .*; try a=1"):
        named_value(text, what="a word", example="a=1")


@pytest.mark.parametrize("name", ["name", "device", "progress", "autocast", "allow_code"])
def test_no_flag_can_stand_for_another_argument(name: str) -> None:
    with pytest.raises(NlvizError, match=f"no flag is called '{name}'"):
        parsed_flags([f"{name}=true"])


def test_a_flag_that_is_none_is_refused() -> None:
    with pytest.raises(NlvizError, match="the flag scale needs a value"):
        parsed_flags(["scale=none"])
