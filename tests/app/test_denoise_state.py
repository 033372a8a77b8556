"""The address of the Denoise page: what it says is chosen, and what is chosen it says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.denoise.choices import EXPLORE, FROM, UPLOAD, Choices, first, opened, parameters
from app.shared.uploads import Upload


def test_the_first_view_has_a_short_address() -> None:
    assert parameters(first(), {}) == {"picture": "cat.jpg"}
    assert opened({}) == first()


CHOICES: list[tuple[str, str, str, Any]] = [
    ("picture", "rocket.jpg", "picture", "rocket.jpg"),
    ("size", "full", "size", None),
    ("size", "384", "size", 384),
    ("grey", "1", "grey", True),
    ("noisy", "1", "already", True),
    ("noise", "salt-and-pepper", "noise", "salt-and-pepper"),
    ("sigma", "42.5", "sigma", 42.5),
    ("gain", "3", "gain", 3.0),
    ("amount", "0.25", "amount", 0.25),
    ("seed", "7", "seed", 7),
    ("clipped", "1", "clipped", True),
    ("told", "31", "told", 31.0),
    ("with", "bm3d,mean", "chosen", ("bm3d", "mean")),
    ("fair", "1", "fair", True),
    ("at", "0,37.5,112", "query", (0.0, 37.5, 112.0)),
    ("start", "1.5", "start", 1.5),
    ("frame", "2", "frame", 2),
    ("clip", "1", "whole", True),
]


@pytest.mark.parametrize(("name", "text", "key", "value"), CHOICES)
def test_a_choice_is_read_and_written_back(name: str, text: str, key: str, value: Any) -> None:
    now = opened({name: text})
    assert getattr(now, key) == value
    assert parameters(now, {})[name] == text
    assert now.notes == ()


def test_all_choices_go_together() -> None:
    query = {name: text for name, text, _, _ in CHOICES}
    assert parameters(opened(query), {}) == query


def test_parameters_are_read_with_their_types() -> None:
    text = (
        "non-local-means.h:0.8,non-local-means.patch:5,non-local-means.bias:off,"
        "non-local-means.patch_sigma:none,mean.window:7"
    )
    now = opened({"set": text})
    assert now.set == {
        "non-local-means": {"h": 0.8, "patch": 5, "bias": False, "patch_sigma": None},
        "mean": {"window": 7},
    }
    assert isinstance(now.set["mean"]["window"], int)
    assert parameters(now, {})["set"] == text


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
    now = opened({"picture": "coffee.jpg", **query})
    ((name, text),) = query.items()
    (note,) = now.notes
    assert f"{name}={text}" in note
    assert now.picture == "coffee.jpg"
    assert parameters(now, {}) == {"picture": "coffee.jpg"}


def round_trip(now: Choices, explore: dict[str, str] | None = None) -> Choices:
    return opened(parameters(now, explore or {}))


def test_an_upload_is_named_by_its_content() -> None:
    upload = Upload("a: b.png", "12ab")
    now = replace(first(), kind=UPLOAD, upload=upload, sigma=50.0)
    again = round_trip(now)
    assert (again.kind, again.upload, again.sigma) == (UPLOAD, upload, 50.0)


def test_what_is_shown_of_explore_is_named_by_explores_own_address() -> None:
    explore = {"clip": "bunny.mp4", "model": "lite-nl", "at": "1,2,3"}
    now = replace(first(), kind=EXPLORE, grey=True)
    params = parameters(now, explore)
    assert params[FROM] == "clip=bunny.mp4&model=lite-nl&at=1%2C2%2C3"
    assert "picture" not in params
    assert (round_trip(now, explore).kind, round_trip(now, explore).grey) == (EXPLORE, True)
    block = replace(first(), block="stage3")
    assert round_trip(block, explore).block == "stage3"
    assert FROM not in parameters(first(), explore)
