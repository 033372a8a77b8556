"""Features as colours: each pixel has the colour of the cell that it lies in."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from PIL import Image

from nlviz.affinity.feature_map import FeatureMap
from nlviz.affinity.grid import TokenGrid
from nlviz.analysis.principal_components import principal_components
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.render.feature_colours import FeatureColours, enlarged, feature_colours
from tests.nets import noise_clip

T, H, W = 4, 24, 40


def drawn(channels: int = 7, clip: Clip | None = None) -> FeatureColours:
    generator = torch.Generator().manual_seed(0)
    grid = TokenGrid((2, 3, 5), (2, 8, 8), (0.5, 3.5, 3.5))
    values = torch.randn(channels, 2, 3, 5, generator=generator)
    return feature_colours(FeatureMap("layer", values, grid, clip=clip or noise_clip(T, H, W)))


def test_each_pixel_has_the_colour_of_its_cell() -> None:
    found = drawn()
    colours = principal_components(found.features).colours(found.features)
    for frame, y, x in ((0, 0, 0), (1, 23, 39), (2, 8, 15), (3, 7, 16)):
        assert (found.frames[frame, y, x] == colours[frame // 2, y // 8, x // 8]).all()


def test_the_sentence_says_how_much_is_seen() -> None:
    found = drawn()
    share = round(100 * found.components.explained)
    assert f"They explain {share} % of what varies" in found.sentence
    assert "7 channels" in found.sentence and "all cells of all frames" in found.sentence
    assert "first 2 principal components" in drawn(2).sentence


def test_files_of_each_kind(tmp_path: Path) -> None:
    found = drawn()
    with Image.open(found.save(tmp_path / "a.png")) as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    for colour in np.unique(found.frames.reshape(-1, 3), axis=0)[::7]:
        assert (pixels == colour).all(1).any()
    with Image.open(BytesIO(found.to_bytes("gif"))) as picture:
        assert picture.n_frames == T
    with av.open(BytesIO(found.to_bytes("mp4"))) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == T and all(n % 2 == 0 for n in frames[0].shape[:2])
    assert found.to_bytes("svg").startswith(b"<?xml")
    assert feature_colours(found.features).to_bytes("pdf")[:4] == b"%PDF"
    with pytest.raises(NlvizError, match=r"saved as \.png"):
        found.save(tmp_path / "a.txt")


def test_a_clip_is_needed_and_a_basis_that_fits() -> None:
    found = drawn()
    bare = FeatureMap("layer", found.features.values, found.features.grid)
    with pytest.raises(NlvizError, match="say clip="):
        feature_colours(bare)
    with pytest.raises(NlvizError, match="the 6 channels of the basis"):
        feature_colours(found.features, drawn(6).components)
    assert (feature_colours(bare, clip=found.clip).frames == found.frames).all()


def test_cells_are_enlarged_without_a_blur() -> None:
    small = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    large = enlarged(small, (8, 9))
    assert (large[::4, ::3] == small).all() and len(np.unique(large[..., 0])) == 6
