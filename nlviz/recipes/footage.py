"""Material to train on: photographs and footage from folders, or fetched from public packages."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import av
import cv2
import numpy as np

from nlviz.errors import NlvizError
from nlviz.recipes.composed import Array, Picture

# Photographs of Debian packages, judged by eye: paths in the package, without rendered or abstract
# pictures. Licences: see the model card.
DEBIAN_PHOTOS: dict[str, tuple[str, ...]] = {
    "lomiri-wallpapers-16.04": (
        "Bridge*",
        "Dragonfly*",
        "Picture_*",
        "Wine*",
        "aitzgorri*",
        "free_*",
        "friends*",
        "greentock*",
        "life*",
        "picosdeeuropa*",
        "seeding*",
        "sunset*",
    ),
    "lomiri-wallpapers-20.04": ("Kleiber*",),
    "mate-backgrounds": ("mate/nature/*",),
    "plasma-workspace-wallpapers": (
        "BytheWater/*/*/2560x1600*",
        "ColdRipple/*/*/2560x1600*",
        "ColorfulCups/*/*/2560x1600*",
        "DarkestHour/*/*/2560x1600*",
        "EveningGlow/*/*/2560x1600*",
        "FallenLeaf/*/*/2560x1600*",
        "Grey/*/*/2560x1600*",
        "Kite/*/*/2560x1600*",
        "OneStandsOut/*/*/2560x1600*",
        "Path/*/*/2560x1600*",
        "summer_1am/*/*/2560x1600*",
    ),
}
DEBIAN_FOOTAGE: dict[str, tuple[str, ...]] = {
    "opencv-doc": ("opencv-doc/examples/data/vtest.avi", "opencv-doc/examples/data/tree.avi")
}
_PLACES = ("usr/share/backgrounds", "usr/share/wallpapers", "usr/share/doc")
_FILMS = {".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v"}
_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"}


def fetch_debian(cache: Path) -> tuple[Path, Path]:
    """Fetch photographs and footage from public Debian packages into a cache folder.

    Needs ``apt-get`` and ``dpkg-deb``; nothing is installed. About 260 MB are downloaded.

    Returns:
        photos: folder of the photographs, shorter side at most 800 pixels.
        footage: folder of the films.

    Raises:
        NlvizError: when a package cannot be fetched or lacks a file.
    """
    photos, footage, unpacked = cache / "photos", cache / "footage", cache / "unpacked"
    done = cache / "fetched"
    if done.exists():
        return photos, footage
    for folder in (photos, footage, unpacked):
        folder.mkdir(parents=True, exist_ok=True)
    for path in debian_photographs(cache):
        name = path.stem if path.stem != "2560x1600" else path.parents[2].name
        cv2.imwrite(str(photos / f"{name}.png"), read_photo(path)[..., ::-1])
    for package in DEBIAN_FOOTAGE:
        _unpack(package, cache, unpacked)
    for package, wanted in DEBIAN_FOOTAGE.items():
        for path in _found(package, wanted, unpacked):
            (footage / path.name).write_bytes(path.read_bytes())
    done.touch()
    return photos, footage


def debian_photographs(cache: Path) -> list[Path]:
    """Fetch photographs from public Debian packages and return their files, in full size.

    Needs ``apt-get`` and ``dpkg-deb``; nothing is installed. About 165 MB are downloaded.

    Raises:
        NlvizError: when a package cannot be fetched or lacks a file.
    """
    unpacked = cache / "unpacked"
    unpacked.mkdir(parents=True, exist_ok=True)
    for package in DEBIAN_PHOTOS:
        _unpack(package, cache, unpacked)
    found = [p for name, want in DEBIAN_PHOTOS.items() for p in _found(name, want, unpacked)]
    # A theme of Plasma links many names to the one real file.
    return list({p.resolve(): p for p in found}.values())


def photographs(folders: Iterable[Path]) -> list[Path]:
    """Return the files of pictures in some folders."""
    return [p for folder in folders for p in folder.iterdir() if p.suffix.lower() in _PICTURES]


def read_photo(path: Path, *, shorter: int = 800) -> Picture:
    """Return (H, W, 3) RGB uint8, reduced until the shorter side is at most `shorter` pixels.

    Raises:
        NlvizError: when the file is no picture.
    """
    read = cv2.imread(str(path))
    if read is None:
        raise NlvizError(f"{path} is not a picture that OpenCV reads; take it out of the folder")
    factor = shorter / min(read.shape[:2])
    if factor < 1:
        read = cv2.resize(read, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray(read[..., ::-1]).astype(np.uint8)


def read_photos(folders: Iterable[Path]) -> dict[str, Picture]:
    """Return the pictures of some folders, by file name, in order of the names."""
    paths = photographs(folders)
    return {p.name: read_photo(p) for p in sorted(paths, key=lambda p: p.name)}


def list_films(folders: Iterable[Path]) -> list[Path]:
    """Return the films of some folders, in order of the names."""
    paths = [p for folder in folders for p in folder.iterdir() if p.suffix.lower() in _FILMS]
    return sorted(paths, key=lambda p: p.name)


def read_film(path: Path, *, shorter: int = 320, most: int = 300) -> Picture:
    """Return (T, H, W, 3) RGB uint8 of the first frames of a film, reduced.

    Raises:
        NlvizError: when the film has fewer than two frames.
    """
    frames: list[Picture] = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            factor = min(shorter / min(frame.height, frame.width), 1.0)
            size = round(frame.width * factor), round(frame.height * factor)
            read = frame.to_ndarray(format="rgb24")
            frames.append(cv2.resize(read, size, interpolation=cv2.INTER_AREA).astype(np.uint8))
            if len(frames) == most:
                break
    if len(frames) < 2:
        raise NlvizError(f"footage needs at least two frames, {path} has {len(frames)}")
    return np.stack(frames)


def window(
    film: Picture, *, frames: int, size: tuple[int, int], rng: np.random.Generator
) -> Picture:
    """Cut a few frames at random distances and one random region from a film.

    Args:
        film: (T, H, W, 3) RGB uint8.
        frames: number of frames to take; a short film repeats some.
        size: height and width of the result.
        rng: source of chance.

    Returns:
        (frames, height, width, 3) RGB uint8.

    >>> film = np.zeros((9, 60, 80, 3), np.uint8)
    >>> window(film, frames=4, size=(32, 48), rng=np.random.default_rng(0)).shape
    (4, 32, 48, 3)
    """
    stride = int(rng.integers(1, max(2, min(25, len(film) // frames + 1))))
    start = int(rng.integers(0, max(1, len(film) - stride * (frames - 1))))
    chosen = np.minimum(start + stride * np.arange(frames), len(film) - 1)
    height, width = film.shape[1:3]
    scale = min(height / size[0], width / size[1])
    part = rng.uniform(0.6, 1.0) * scale
    rows, columns = int(part * size[0]), int(part * size[1])
    y, x = rng.integers(0, height - rows + 1), rng.integers(0, width - columns + 1)
    flip = -1 if rng.random() < 0.5 else 1
    crops = [film[t, y : y + rows, x : x + columns][:, ::flip] for t in chosen]
    way = cv2.INTER_AREA if part > 1 else cv2.INTER_LINEAR
    return np.stack(
        [cv2.resize(np.ascontiguousarray(c), size[::-1], interpolation=way) for c in crops]
    ).astype(np.uint8)


def degrade(frames: Picture, rng: np.random.Generator, *, sigma: float | None = None) -> Picture:
    """Return the frames as a bad camera would have seen them, each frame on its own.

    Args:
        frames: (T, H, W, 3) RGB uint8.
        rng: source of chance.
        sigma: standard deviation in grey levels of independent Gaussian noise and nothing else;
            by default between 0 and 60, with blur, other brightness and small occluders at times.
    """
    if sigma is not None:
        return _noisy(frames.astype(np.float64), np.full(len(frames), sigma), rng)
    common = rng.random() < 0.5
    sigmas = np.full(len(frames), rng.uniform(0, 60)) if common else rng.uniform(0, 60, len(frames))
    out = np.empty(frames.shape)
    for t, frame in enumerate(frames):
        seen = frame.astype(np.float64)
        if rng.random() < 0.25:
            seen = cv2.GaussianBlur(seen, (0, 0), float(rng.uniform(0.5, 2)))
        if rng.random() < 0.3:
            seen = (seen - 128) * np.exp(rng.normal(0, 0.25)) + 128 + rng.normal(0, 20)
        if rng.random() < 0.2:
            for _ in range(6):
                side = rng.integers(8, 25, 2)
                y, x = rng.integers(0, frame.shape[0]), rng.integers(0, frame.shape[1])
                seen[y : y + side[0], x : x + side[1]] = rng.uniform(0, 255, 3)
        out[t] = seen
    return _noisy(out, sigmas, rng)


def _noisy(frames: Array, sigmas: Array, rng: np.random.Generator) -> Picture:
    noise = rng.standard_normal(frames.shape, np.float32) * sigmas[:, None, None, None]
    return np.rint(frames + noise).clip(0, 255).astype(np.uint8)


def _unpack(package: str, cache: Path, into: Path) -> None:
    """Download a Debian package and unpack it without installing it."""
    have = sorted(cache.glob(f"{package}_*.deb"))
    try:
        if not have:
            subprocess.run(["apt-get", "download", package], cwd=cache, check=True)
            have = sorted(cache.glob(f"{package}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(have[0]), str(into)], check=True)
    except (OSError, subprocess.CalledProcessError, IndexError) as error:
        raise NlvizError(
            f"the Debian package {package} could not be fetched ({error}); give --photos and "
            "--footage folders of your own instead"
        ) from None


def _found(package: str, wanted: Sequence[str], unpacked: Path) -> list[Path]:
    """Return the wanted files of a package."""
    out: list[Path] = []
    for pattern in wanted:
        hits = [p for place in _PLACES for p in sorted((unpacked / place).glob(pattern))]
        if not hits:
            raise NlvizError(f"the Debian package {package} no longer holds {pattern}")
        out += [p for p in hits if p.is_file() and p.suffix.lower() in _PICTURES | _FILMS]
    return out
