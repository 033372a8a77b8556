"""A region is taken out wholly, and nothing beside it changes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.token_line import TokenLine
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.interventions.regions import FILLS, Fill, MaskRegion, filled, pixels_of_cells
from tests.nets import noise_clip

SHAPE = (4, 36, 52)


def smooth_clip() -> Clip:
    """Return a clip whose frames are slow ramps that differ."""
    t, y, x = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    planes = np.stack([40 + 2 * y + t, 60 + 2 * x + t, 200 - y - x - 5 * t], -1)
    return Clip.from_frames(np.clip(planes, 0, 255).astype(np.uint8))


def region() -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[1, 8:20, 11:30] = True
    mask[2] = True
    return mask


@pytest.mark.parametrize("fill", FILLS)
def test_pixels_outside_stay_and_inside_nothing_is_left(fill: Fill) -> None:
    mask = region()
    clip = smooth_clip()
    first, second = (clip.frames.copy() for _ in range(2))
    first[mask], second[mask] = 0, 255
    one, other = (filled(frames, mask, fill) for frames in (first, second))
    assert np.array_equal(one[~mask], clip.frames[~mask])
    if fill == "blur":
        return  # it keeps what the region looks like from afar
    # What the region showed has no part in what fills it.
    assert np.array_equal(one, other)


@pytest.mark.parametrize(("fill", "off"), [("inpaint", 6), ("neighbours", 6), ("blur", 12)])
def test_what_fills_a_smooth_picture_is_what_was_there(fill: Fill, off: float) -> None:
    mask = region()
    mask[2] = False
    clip = smooth_clip()
    made = filled(clip.frames, mask, fill).astype(float)
    assert np.abs(made - clip.frames)[mask].mean() < off


def test_large_frames_are_painted_at_a_smaller_size_and_nothing_leaks() -> None:
    mask = np.zeros((1, 410, 620), bool)
    mask[0, 100:303, 201:401] = True
    frames = np.full((1, 410, 620, 3), 90, np.uint8)
    frames[mask] = 255
    assert filled(frames, mask).max() == 90


def test_narrow_gaps_are_seen_at_full_size() -> None:
    mask = np.ones((1, 410, 620), bool)
    mask[0, ::40] = False  # one row of forty is left
    frames = np.full((1, 410, 620, 3), 255, np.uint8)
    frames[~mask] = 60
    assert filled(frames, mask).max() <= 62


def test_a_clip_of_which_nothing_is_left_is_its_mean_colour() -> None:
    frames = noise_clip(2, 20, 30).frames
    mask = np.ones((2, 20, 30), bool)
    for fill in ("inpaint", "neighbours", "mean"):
        made = filled(frames, mask, fill)
        assert (made == frames.reshape(-1, 3).mean(0).round()).all()


def test_neighbours_give_their_own_pixels() -> None:
    frames = noise_clip(5, 20, 30).frames
    mask = np.zeros((5, 20, 30), bool)
    mask[2, 3:9, 4:11] = mask[1, 3:9, 4:11] = True
    made = filled(frames, mask, "neighbours")
    assert np.array_equal(made[2, 3:9, 4:11], frames[3, 3:9, 4:11])
    assert np.array_equal(made[1, 3:9, 4:11], frames[0, 3:9, 4:11])


@given(
    cell=st.integers(0, 2 * 3 * 5 - 1),
    stride=st.tuples(st.integers(1, 2), st.integers(5, 9), st.integers(4, 11)),
)
def test_a_cell_s_pixels_are_those_whose_nearest_cell_it_is(
    cell: int, stride: tuple[int, int, int]
) -> None:
    st_, sy, sx = stride
    grid = TokenGrid((2, 3, 5), (st_, sy, sx), ((st_ - 1) / 2, 2.5, 3.5))
    mask = MaskRegion.of_cells(grid, [cell], SHAPE).mask(SHAPE) if _there(grid, cell) else None
    if mask is None:
        return
    rng = np.random.default_rng(cell)
    for t, y, x in zip(*(rng.integers(0, n, 20) for n in SHAPE), strict=True):
        assert mask[t, y, x] == (grid.nearest(frame=float(t), y=float(y), x=float(x)) == cell)


def _there(grid: TokenGrid, cell: int) -> bool:
    chosen = np.zeros(grid.shape, bool)
    chosen[grid.unravel(cell)] = True
    return bool(pixels_of_cells(grid, chosen, SHAPE).any())


def test_boxes_cover_the_middles_of_pixels() -> None:
    mask = MaskRegion((2, 3.4, 7, 9.6), frames=(0, 3)).mask(SHAPE)
    assert mask.any((1, 2)).tolist() == [True, False, False, True]
    assert mask[0].sum() == 5 * 7  # rows 2 to 6, columns 3 (middle 3.5) to 9 (middle 9.5)
    assert mask[0, 2:7, 3:10].all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (MaskRegion((0, 0, 40, 10)), "bottom <= 36"),
        (MaskRegion((5, 9, 5, 10)), "top < bottom"),
        (MaskRegion((5, 9, 5.3, 10)), "at least one pixel"),
        (MaskRegion(np.zeros(SHAPE, bool)), "at least one pixel"),
        (MaskRegion(np.ones((36, 51), bool)), r"\(36, 52\)"),
        (MaskRegion((0, 0, 9, 9), frames=(4,)), "between 0 and 3"),
        (MaskRegion((0, 0, 9, 9), fill="grey"), "'grey'"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_region_is_said(change: MaskRegion, says: str) -> None:
    with pytest.raises(NlvizError, match=says):
        change.apply(smooth_clip())


def test_words_are_no_region() -> None:
    line = TokenLine.of(["a", "b", "c"])
    with pytest.raises(NlvizError, match="words, boxes or nodes"):
        pixels_of_cells(line, np.ones(line.shape, bool), SHAPE)


def test_what_is_done_is_said() -> None:
    change = MaskRegion(region(), fill="blur")
    assert change.said == "a region of frames 1 and 2 is blurred"
    after = change.apply(smooth_clip())
    assert after.notes[-1].startswith("The clip was changed: a region of frames 1 and 2")
