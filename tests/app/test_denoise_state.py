"""The address of the Denoise page: what it says is chosen, and what is chosen it says."""

from __future__ import annotations

from typing import Any

import pytest
from streamlit.testing.v1 import AppTest


def address_alone(shareable: bool) -> None:
    """Take the choices from the address, and write them back."""
    from app.denoise import state as denoise_state

    denoise_state.STATE.restore()
    denoise_state.open_from_address()
    denoise_state.write_address(shareable=shareable)


def opened(query: dict[str, str], *, shareable: bool = True) -> AppTest:
    test = AppTest.from_function(address_alone, default_timeout=60, args=(shareable,))
    test.query_params.update(query)
    test.run()
    assert not test.exception
    return test


def address(test: AppTest) -> dict[str, str]:
    # A list or a string for each, by version of Streamlit.
    return {k: v[-1] if isinstance(v, list) else v for k, v in test.query_params.items()}


def test_the_first_view_has_a_short_address() -> None:
    assert address(opened({})) == {"picture": "cat.jpg"}


CHOICES: list[tuple[str, str, str, Any]] = [
    ("picture", "rocket.jpg", "dn_picture", "rocket.jpg"),
    ("size", "full", "dn_size", None),
    ("size", "384", "dn_size", 384),
    ("grey", "1", "dn_grey", True),
    ("noisy", "1", "dn_already", True),
    ("noise", "salt-and-pepper", "dn_noise", "salt-and-pepper"),
    ("sigma", "42.5", "dn_sigma", 42.5),
    ("gain", "3", "dn_gain", 3.0),
    ("amount", "0.25", "dn_amount", 0.25),
    ("seed", "7", "dn_seed", 7),
    ("clipped", "1", "dn_clipped", True),
    ("told", "31", "dn_told", 31.0),
    ("with", "bm3d,mean", "dn_with", ("bm3d", "mean")),
    ("fair", "1", "dn_fair", True),
    ("at", "0,37.5,112", "dn_query", (0.0, 37.5, 112.0)),
    ("start", "1.5", "dn_start", 1.5),
    ("frame", "2", "dn_frame", 2),
    ("clip", "1", "dn_whole", True),
]


@pytest.mark.parametrize(("name", "text", "key", "value"), CHOICES)
def test_a_choice_is_read_and_written_back(name: str, text: str, key: str, value: Any) -> None:
    test = opened({name: text})
    assert test.session_state[key] == value
    assert address(test)[name] == text
    assert test.session_state["dn_complaint"] is None


def test_all_choices_go_together() -> None:
    query = {name: text for name, text, _, _ in CHOICES}
    assert address(opened(query)) == query


def test_parameters_are_read_with_their_types() -> None:
    text = (
        "non-local-means.h:0.8,non-local-means.patch:5,non-local-means.bias:off,"
        "non-local-means.patch_sigma:none,mean.window:7"
    )
    test = opened({"set": text})
    assert test.session_state["dn_set"] == {
        "non-local-means": {"h": 0.8, "patch": 5, "bias": False, "patch_sigma": None},
        "mean": {"window": 7},
    }
    assert isinstance(test.session_state["dn_set"]["mean"]["window"], int)
    assert address(test)["set"] == text


@pytest.mark.parametrize(
    "query",
    [
        {"sigma": "loud"},
        {"sigma": "nan"},
        {"seed": "1.5"},
        {"size": "small"},
        {"at": "3,4"},
        {"set": "mean.window:wide"},
    ],
)
def test_what_cannot_be_read_is_left_out_and_told(query: dict[str, str]) -> None:
    test = opened({"picture": "coffee.jpg", **query})
    ((name, text),) = query.items()
    assert f"{name}={text}" in test.session_state["dn_complaint"]
    assert test.session_state["dn_picture"] == "coffee.jpg"
    assert address(test) == {"picture": "coffee.jpg"}


def test_an_upload_leaves_no_address() -> None:
    test = opened({"picture": "rocket.jpg", "sigma": "50"}, shareable=False)
    assert test.session_state["dn_sigma"] == 50
    assert address(test) == {}
