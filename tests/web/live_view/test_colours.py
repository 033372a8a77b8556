"""Screen and file draw one map alike: Chromium's pixels against those of ``nlviz.picture``."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from playwright.sync_api import Browser

from nlviz.picture import overlay_frame
from nlviz.render.frame_maps import spread
from nlviz.web.bundle import LIVE_VIEW
from nlviz.web.payloads.container import pack
from tests.pace import rest
from tests.web.live_view.containers import embedded, frame_sections, grid, header

pytestmark = pytest.mark.browser

CELL, ROWS, COLUMNS = 16, 12, 16
KEYS = ROWS * COLUMNS
OWN = 5 * COLUMNS + 9

# Base and map of the large tile as the page stacks them, at the middle of every cell.
STACKED = """([rows, columns]) => {
  const [base, map] = ["base", "map"].map(
    (name) => document.querySelector(`.nlv-large .nlv-${name}`));
  const canvas = new OffscreenCanvas(base.width, base.height);
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(base, 0, 0);
  context.drawImage(map, 0, 0, base.width, base.height);
  const at = (n, of, size) => Math.floor((n + 0.5) / of * size);
  return Array.from({ length: rows * columns }, (_, n) => Array.from(context.getImageData(
    at(n % columns, columns, base.width), at(Math.floor(n / columns), rows, base.height), 1, 1,
  ).data.slice(0, 3)));
}"""


def flat_cells(seed: int) -> npt.NDArray[np.uint8]:
    """Return one frame whose cells have a colour each, as large as blocks of JPEG."""
    rng = np.random.default_rng(seed)
    colours = rng.integers(20, 236, (ROWS, COLUMNS, 3)).astype(np.uint8)
    return cv2.resize(
        colours, (CELL * COLUMNS, CELL * ROWS), interpolation=cv2.INTER_NEAREST
    ).astype(np.uint8)


def known(
    signed: bool, strength: float, scale: str = "locked"
) -> tuple[bytes, npt.NDArray[np.uint8]]:
    """Return a container whose row is known, and what Python draws of it, (rows, columns, 3)."""
    frame = flat_cells(11)
    most = 1 if scale == "locked" else 0.99  # which a logarithmic one rounds up to 1
    shares = most * np.linspace(-1 if signed else 0, 1, KEYS)
    shares = np.random.default_rng(4).permutation(shares).astype(np.float32)
    tokens = grid((1, ROWS, COLUMNS), (1, CELL, CELL))
    # A dot product is divided by the number of keys: a share of 1 is as much as uniform attention.
    source = embedded(
        "learned", tokens, tokens, pairwise="dot_product", softmax=False, signed=signed
    )
    sections: dict[str, Any] = {
        **frame_sections(frame[None]),
        "learned.theta": np.ones((1, KEYS, 1), np.float32),
        "learned.phi": shares[None, :, None],
    }
    view = {"show": "map", "scale": scale, "top": 1.0, "strength": strength}
    row, column = divmod(OWN, COLUMNS)
    query = {"frame": 0, "y": row * CELL + 7.5, "x": column * CELL + 7.5}
    blob = pack(header(frame[None], [source], view=view, query=query), sections)
    seen = np.asarray(Image.open(io.BytesIO(sections["frame0"].tobytes())))
    laid = spread(
        (shares if scale == "locked" else logarithmic(shares)).reshape(ROWS, COLUMNS),
        size=frame.shape[:2],
        stride=(CELL, CELL),
        origin=tokens["origin"][1:],
    )
    drawn = overlay_frame(seen, laid, strength=strength, signed=signed)
    own = np.s_[row * CELL : (row + 1) * CELL, column * CELL : (column + 1) * CELL]
    drawn[own] = overlay_frame(seen[own], np.zeros((CELL, CELL), np.float32))
    return blob, drawn[CELL // 2 :: CELL, CELL // 2 :: CELL]


def logarithmic(shares: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return shares of three decades below 1, with their sign."""
    sizes = 1 + np.log10(np.maximum(np.abs(shares), 1e-3)) / 3
    return (np.sign(shares) * sizes).astype(np.float32)


@pytest.mark.parametrize("scale", ["locked", "log"])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("strength", [0.85, 0.35])
def test_screen_and_file_agree_to_one_grey_level(
    browser: Browser, tmp_path: Path, signed: bool, strength: float, scale: str
) -> None:
    blob, drawn = known(signed, strength, scale)
    path = tmp_path / "known.html"
    path.write_text(LIVE_VIEW.page(blob, title="known"), encoding="utf-8")
    page = browser.new_page(viewport={"width": 900, "height": 1300})
    page.goto(path.as_uri())
    page.wait_for_selector("[data-query]")
    rest(page)
    stacked = np.array(page.evaluate(STACKED, [ROWS, COLUMNS])).reshape(ROWS, COLUMNS, 3)
    picture = page.locator(".nlv-large .nlv-picture").bounding_box()
    assert picture is not None
    screen = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB"))
    page.close()
    rows = (picture["y"] + (np.arange(ROWS) + 0.5) / ROWS * picture["height"]).astype(int)
    columns = (picture["x"] + (np.arange(COLUMNS) + 0.5) / COLUMNS * picture["width"]).astype(int)
    everywhere = np.ones((ROWS, COLUMNS), bool)
    # On the screen the mark of the query lies over its own cell.
    others = np.arange(KEYS).reshape(ROWS, COLUMNS) != OWN
    assert len(np.unique(drawn[others], axis=0)) > 0.9 * KEYS
    shown = (("canvas", stacked, everywhere), ("screen", screen[np.ix_(rows, columns)], others))
    for name, seen, cells in shown:
        apart = np.abs(seen.astype(int) - drawn)[cells]
        assert apart.max() <= 1, f"{name}: {apart.max()} grey levels apart"
