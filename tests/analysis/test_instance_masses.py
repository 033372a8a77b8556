"""A row's mass by detected objects, against sums over single pixels."""

from __future__ import annotations

import numpy as np
import pytest

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.grid import TokenGrid
from nlviz.analysis.instance_masses import instance_masses
from nlviz.clips.detections import Detection

CLIP = (3, 24, 40)
GRID = TokenGrid((3, 3, 5), (1, 8, 8), (0, 3.5, 3.5))


def row(query: tuple[float, float, float], **more: object) -> AttentionMap:
    weights = np.random.default_rng(0).random(GRID.shape).astype(np.float32)
    weights *= 0.8 / weights.sum()
    return AttentionMap(weights, query, GRID, off_grid=0.2, **more)  # type: ignore[arg-type]


def by_name(attention: AttentionMap, found: list[Detection]) -> dict[str, tuple[float, float]]:
    masses = instance_masses(attention, found, clip_shape=CLIP)
    return {part.name: (part.mass, part.uniform) for part in masses.regions}


def disc(frame: int, y: int, x: int, r: int, label: str, number: int) -> Detection:
    ys, xs = np.mgrid[: CLIP[1], : CLIP[2]]
    mask = np.hypot(ys - y, xs - x) <= r
    return Detection(frame, label, number, 0.9, (y - r, x - r, y + r + 1, x + r + 1), mask)


FOUND = [
    disc(1, 9, 12, 6, "dog", 1),
    disc(1, 11, 17, 7, "dog", 2),  # overlaps the first
    disc(1, 16, 30, 5, "cat", 1),
    disc(2, 9, 13, 6, "dog", 3),
    Detection(0, "cat", 2, 0.8, (2, 3, 11, 17)),
]


def test_masses_are_sums_over_pixels() -> None:
    attention = row((1, 9, 10))
    pixels = np.repeat(np.repeat(attention.weights, 8, 1), 8, 2) / 64
    own = np.zeros(CLIP, bool)
    own[1] = FOUND[0].mask
    same, others = np.zeros(CLIP, bool), np.zeros(CLIP, bool)
    same[1], same[2] = FOUND[1].mask, FOUND[3].mask
    same &= ~own
    others[1] = FOUND[2].mask
    others[0, 2:11, 3:17] = True
    others &= ~own & ~same
    masses = instance_masses(attention, FOUND, clip_shape=CLIP)
    assert masses.instance is FOUND[0]
    parts = {part.name: part for part in masses.regions}
    assert list(parts) == [
        "dog 1",
        "others of dog",
        "other objects",
        "background",
        "without a place",
    ]
    rest = ~(own | same | others)
    for name, inside in (
        ("dog 1", own),
        ("others of dog", same),
        ("other objects", others),
        ("background", rest),
    ):
        assert parts[name].mass == pytest.approx(float(pixels[inside].sum()), abs=1e-6)
        assert parts[name].uniform == pytest.approx(0.8 * inside.mean(), abs=1e-6)
    assert parts["without a place"].mass == pytest.approx(0.2)
    assert sum(part.mass for part in masses.regions) == pytest.approx(1)


def test_the_smallest_object_around_the_query_is_its_own() -> None:
    large = Detection(1, "table", 1, 0.9, (0, 0, 24, 40))
    for found in ([large, *FOUND], [*FOUND, large]):
        assert instance_masses(row((1, 9, 8)), found, clip_shape=CLIP).instance is FOUND[0]
        assert instance_masses(row((1, 2, 38)), found, clip_shape=CLIP).instance is large
        assert instance_masses(row((0, 20, 38)), found, clip_shape=CLIP).instance is None


def test_beside_all_objects_there_are_objects_and_background() -> None:
    parts = by_name(row((0, 20, 38)), FOUND)
    assert list(parts) == ["objects", "background", "without a place"]
    assert by_name(row((0, 20, 38)), [])["background"][0] == pytest.approx(0.8)


def test_signed_rows_count_by_magnitude() -> None:
    weights = np.zeros(GRID.shape, np.float32)
    weights[1, 0, 0], weights[1, 2, 4] = -3.0, 1.0
    found = [Detection(1, "dog", 1, 0.9, (0, 0, 8, 8))]
    attention = AttentionMap(weights, (1, 3.5, 3.5), GRID, signed=True, normalised=False)
    assert by_name(attention, found)["dog 1"][0] == pytest.approx(0.75)
    change = AttentionMap(weights - weights.mean(), (1, 3.5, 3.5), GRID, signed=True, balanced=True)
    parts = by_name(change, found)
    assert parts["dog 1"][0] == pytest.approx(-3 + 2 / 45)
    assert sum(mass for mass, _ in parts.values()) == pytest.approx(0, abs=1e-6)


def test_unreachable_frames_are_no_part_of_uniform() -> None:
    reachable = np.zeros(GRID.shape, bool)
    reachable[1] = True
    parts = by_name(row((1, 9, 10), reachable=reachable), [FOUND[4], FOUND[0]])
    assert FOUND[0].mask is not None
    assert parts["dog 1"][1] == pytest.approx(0.8 * FOUND[0].mask.mean())
    assert parts["other objects"][1] == 0


@pytest.mark.parametrize("stride", [2.0, 0.4])
def test_coarse_and_fine_grids_cover_the_clip(stride: float) -> None:
    # Token frames between frames of the clip, and cells smaller than a pixel.
    grid = TokenGrid((2, 5, 6), (stride, 0.5, 0.5), (0.5, 3.0, 4.0))
    weights = np.full(grid.shape, 1 / 60, np.float32)
    found = [Detection(f, "dog", f + 1, 0.9, (0, 0, 24, 40)) for f in range(3)]
    masses = instance_masses(AttentionMap(weights, (1, 4, 5), grid), found, clip_shape=CLIP)
    assert sum(part.mass for part in masses.regions) == pytest.approx(1)
    assert {part.name for part in masses.regions} <= {"dog 2", "others of dog", "dog 1"}
