"""Which clips are looked at: the first, a sample, each once."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from nlviz.errors import NlvizError
from nlviz.surveys.item import Item
from nlviz.surveys.listing import choosing
from nlviz.surveys.listing.choosing import Seen, chosen


def clips(count: int, folder: str = "/data") -> list[Item]:
    return [Item(f"{folder}/{n:04d}.mp4", "file", f"{n:04d}.mp4") for n in range(count)]


def names(items: Iterator[Item]) -> list[str]:
    return [item.name for item in items]


def test_a_sample_depends_on_names_and_seed_alone() -> None:
    all_of_them = clips(500)
    drawn = names(chosen(all_of_them, sample=40, seed=3))
    assert drawn == sorted(drawn)  # in the order of the list
    mixed = random.Random(1).sample(all_of_them, 500)
    assert sorted(names(chosen(mixed, sample=40, seed=3))) == drawn
    assert names(chosen(clips(500, "/mnt/elsewhere"), sample=40, seed=3)) == drawn
    assert names(chosen(all_of_them, sample=40, seed=4)) != drawn
    assert set(names(chosen(all_of_them, sample=20, seed=3))) < set(drawn)
    assert names(chosen(all_of_them, sample=40, limit=5, seed=3)) == drawn[:5]
    assert len(names(chosen(clips(7), sample=40))) == 7


def test_each_clip_is_drawn_as_often_as_any_other() -> None:
    """Over 400 seeds a share of 1/5 of 50 clips: each 80 times, give or take 5 deviations of 8."""
    counts = dict.fromkeys(names(iter(clips(50))), 0)
    for seed in range(400):
        for name in names(chosen(clips(50), sample=10, seed=seed)):
            counts[name] += 1
    assert sum(counts.values()) == 4000
    assert all(abs(count - 80) <= 40 for count in counts.values())


def test_a_limit_asks_for_no_more_than_it_needs() -> None:
    asked = 0

    def lazy() -> Iterator[Item]:
        nonlocal asked
        for item in clips(100):
            asked += 1
            yield item

    assert names(chosen(lazy(), limit=3)) == ["0000.mp4", "0001.mp4", "0002.mp4"]
    assert asked == 3
    for wrong in ({"limit": 0}, {"sample": -2}):
        with pytest.raises(NlvizError, match="a number of clips, at least 1"):
            chosen(clips(3), **wrong)


def test_addresses_are_remembered_beyond_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_FRESH", 64)
    seen = Seen()
    assert all(seen.add(f"/{n}.mp4") for n in range(1000))
    assert not any(seen.add(f"/{n}.mp4") for n in range(999, -1, -1))
    assert seen.add("/1000.mp4")
