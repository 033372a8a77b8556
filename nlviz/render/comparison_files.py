"""Saving a comparison of denoisers: the figure, its table, and what makes it again."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.clips.clip import read_clip
from nlviz.denoise.comparison.run import Comparison, carry_out, noisy_input
from nlviz.denoise.comparison.setup import Setup, digest_of_pixels, in_units, versions
from nlviz.denoise.image import Image, picture_of
from nlviz.denoise.registry import find_denoiser
from nlviz.errors import InvalidView, NlvizError
from nlviz.files.local import suffix_of, write_whole
from nlviz.progress import Listener, Progress
from nlviz.render.comparison_figure import comparison_sheet, title_of
from nlviz.views.denoise_view import FRAMES, DenoiseView

KINDS = ("png", "pdf", "svg", "csv", "json")  # what a comparison is saved as
FORMAT = "nlviz.comparison"
VERSION = 1
_COLUMNS = ("denoiser", "label", "psnr", "ssim", "seconds", "best", "parameters", "note", "licence")


@dataclass(frozen=True)
class SavedComparison:
    """The content of a comparison's .json file.

    Attributes:
        setup: how it was made.
        name: of the picture.
        digest: sha256 of the picture's pixels.
        source: how to find the picture: ``name``, ``digest`` of its file, ``size`` and ``grey``;
            empty where it came from memory.
        noisy: whether the picture was noisy already.
        table: its rows.
        versions: of the libraries that computed it.
    """

    setup: Setup
    name: str
    digest: str
    source: Mapping[str, Any]
    noisy: bool
    table: list[dict[str, Any]]
    versions: Mapping[str, str]


def save_comparison(comparison: Comparison, path: str | Path) -> Path:
    """Save a comparison as the kind of file that the path's ending asks for.

    .png, .pdf and .svg the figure, its pictures without loss; .csv the table; .json the table and
    all that is needed to compute it again: picture, noise, seed, parameters and versions. The file
    is written whole or not at all.

    Raises:
        NlvizError: for another ending, or when the file cannot be written.

    >>> import tempfile
    >>> from nlviz.denoise import compare
    >>> ramp = np.tile(np.arange(0, 240, 8, dtype=np.uint8), (24, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_comparison(compare(ramp, denoisers=["mean"]), f"{folder}/a.csv")
    ...     path.read_text().splitlines()[0]
    'denoiser,label,psnr,ssim,seconds,best,parameters,note,licence'
    """
    kind = suffix_of(path, KINDS, what="a comparison")
    return write_whole(path, comparison_bytes(comparison, kind))


def comparison_bytes(comparison: Comparison, kind: str) -> bytes:
    """Return the bytes of a file of this kind, see :func:`save_comparison`.

    Raises:
        NlvizError: when there is no such kind.
    """
    if kind == "csv":
        return _csv(comparison)
    if kind == "json":
        return _json(comparison).encode()
    if kind not in KINDS:
        raise NlvizError(f"a comparison is saved as {', '.join(KINDS)}, got {kind!r}")
    sheet = comparison_sheet(comparison)
    if kind == "png":
        return sheet.png(key=FORMAT, metadata=_json(comparison))
    title, _ = title_of(comparison)
    return sheet.vector("pdf" if kind == "pdf" else "svg", title=title, metadata=_json(comparison))


def read_comparison(path: str | Path) -> SavedComparison:
    """Read the .json file of a comparison.

    Raises:
        InvalidView: when the file is not a comparison, or of another version.
    """
    path = Path(path)
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InvalidView(f"{path.name} cannot be read as a comparison ({error})") from None
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InvalidView(f"{path.name} is no comparison that nlviz saved")
    if found.get("version") != VERSION:
        raise InvalidView(
            f"{path.name} is a comparison of version {found.get('version')}, this nlviz reads "
            f"version {VERSION}; save it again"
        )
    try:
        picture = found["picture"]
        return SavedComparison(
            Setup.from_dict(found["setup"]),
            str(picture["name"]),
            str(picture["digest"]),
            dict(picture["source"]),
            bool(picture["noisy"]),
            list(found["table"]),
            dict(found["versions"]),
        )
    except (KeyError, TypeError, ValueError, NlvizError) as error:
        raise InvalidView(f"{path.name} was edited into no comparison ({error})") from None


def made_again(
    saved: SavedComparison,
    image: Image,
    *,
    mask: npt.ArrayLike | None = None,
    progress: Listener | None = None,
) -> Comparison:
    """Return a saved comparison, computed again on its picture.

    Args:
        saved: what ``read_comparison`` returned.
        image: the picture.
        mask: True where a pixel does not count.
        progress: called with a sentence and a share in [0, 1]; what it raises cancels.

    Raises:
        InvalidView: when the picture has other pixels.
        NlvizError: when a denoiser cannot run here.
    """
    image = np.asarray(image)
    digest = digest_of_pixels(image)
    if saved.digest and digest != saved.digest:
        raise InvalidView(
            f"the comparison's picture has pixels of the sha256 {saved.digest[:12]}..., these have "
            f"{digest[:12]}...; give the original, or empty picture.digest to take this one"
        )
    clean, noisy = (None, image) if saved.noisy else (image, None)
    done = carry_out(saved.setup, clean, noisy=noisy, mask=mask, name=saved.name, progress=progress)
    return replace(done, source=dict(saved.source) or None)


def comparison_of(view: DenoiseView, path: Path, *, progress: Listener | None = None) -> Comparison:
    """Return the comparison that a view of the Denoise page shows.

    Args:
        view: the view.
        path: the file of its picture.
        progress: called with a sentence and a share in [0, 1]; what it raises cancels.

    Raises:
        UnreadableClip: when the file cannot be read.
        NlvizError: when a denoiser cannot run here, or a parameter is out of its range.

    >>> from nlviz.resources import asset
    >>> from nlviz.views.denoise_view import DenoiseView, PictureRef
    >>> view = DenoiseView(PictureRef("cat.jpg", size=48), denoisers=("mean", "gaussian"))
    >>> list(comparison_of(view, asset("photos/cat.jpg")).results)
    ['mean', 'gaussian']
    """
    tell = Progress.of(progress)
    ref = view.picture
    clip = read_clip(path, start=ref.start, stride=1, frames=FRAMES, name=ref.name)
    if ref.size is not None and ref.size < min(clip.shape[1:]):
        clip = clip.resized(ref.size)
    if ref.whole and len(clip.frames) > 1:
        image = np.ascontiguousarray(clip.frames)
    else:
        image = picture_of(clip.frames[min(ref.frame, len(clip.frames) - 1)], grey=ref.grey)
    of_clips = image.ndim == 4
    clean, noisy = (None, image) if ref.noisy else (image, None)
    setup = Setup(
        view.denoisers,
        None if ref.noisy else view.noise,
        view.told if ref.noisy else None,
        view.seed,
        view.fair and not ref.noisy,
    )
    known = {name: find_denoiser(name, of_clips=of_clips) for name in view.denoisers}
    _, sigma, _ = noisy_input(setup, clean, noisy=noisy)
    setup = replace(setup, parameters=in_units(view.parameters, known, sigma))
    return carry_out(setup, clean, noisy=noisy, name=ref.name, progress=tell)


def _csv(comparison: Comparison) -> bytes:
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in comparison.table:
        cells = {
            **row,
            "best": " ".join(sorted(row["best"])),
            "parameters": " ".join(f"{k}={v}" for k, v in row["parameters"].items()),
        }
        writer.writerow(["" if cells[c] is None else cells[c] for c in _COLUMNS])
    return out.getvalue().encode()


def _json(comparison: Comparison) -> str:
    rows = []
    for row, result in zip(comparison.table, comparison.results.values(), strict=True):
        grid = None if result.tuned is None else [list(p) for p in result.tuned.grid]
        rows.append({**row, "best": sorted(row["best"]), "grid": grid})
    content = {
        "format": FORMAT,
        "version": VERSION,
        "picture": {
            "name": comparison.name,
            "digest": comparison.digest,
            "shape": list(comparison.noisy.shape),
            "noisy": comparison.clean is None,
            "source": dict(comparison.source or {}),
        },
        "setup": comparison.setup.to_dict(),
        "input": comparison.precision,
        "white": comparison.white,
        "range": {
            "black": comparison.range.low,
            "white": comparison.range.high,
            "from": comparison.range.how,
        },
        "notes": list(comparison.notes),
        "sigma": comparison.sigma,
        "sigma_from": comparison.sigma_from,
        "noisy": {"psnr": comparison.psnr, "ssim": comparison.ssim},
        "table": rows,
        "versions": versions(),
    }
    return json.dumps(_finite(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """Return what JSON can hold: infinite decibels of equal pictures become words."""
    if isinstance(value, Mapping):
        return {str(k): _finite(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(v) for v in value]
    value = value.item() if isinstance(value, np.generic) else value
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
