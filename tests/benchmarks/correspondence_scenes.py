"""Clips and real pairs with known correspondences, none of which training ever saw."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from nlviz.recipes.composed import ComposedClip, Picture, compose

Array = npt.NDArray[np.float64]
Places = Callable[[int, Array, int], tuple[Array, npt.NDArray[np.bool_]]]

SIZE = (224, 304)
FRAMES = 5
OPENCV_DOC = Path("/usr/share/doc/opencv-doc/examples/data")
_COLOUR = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg", "hubble_deep_field.jpg")
_MORE = ("retina.jpg", "ihc.png", "motorcycle_left.png")
_GREY = ("brick.png", "grass.png", "gravel.png", "camera.png")


@dataclass(frozen=True, eq=False)
class Scene:
    """A few frames and the truth about them.

    Attributes:
        name: what it is called in the results.
        group: ``composed`` or the name of a real pair.
        frames: (T, H, W, 3) RGB uint8, H and W multiples of 16.
        labels: (T, H, W) object of every pixel, 0 is no object.
        twin: label of the identical twin of label 1, or 0.
        places: of a frame, (N, 2) points and another frame: (N, 2) places and (N,) whether seen.
        sources: frames that queries may lie in.
    """

    name: str
    group: str
    frames: Picture
    labels: npt.NDArray[np.uint8]
    twin: int
    places: Places
    sources: tuple[int, ...]

    def noisy(self, sigma: float) -> Picture:
        """Return the frames with independent Gaussian noise per frame, clipped to [0, 255]."""
        rng = np.random.default_rng(sum(map(ord, self.name)))
        seen = self.frames + rng.normal(0, sigma, self.frames.shape)
        return np.rint(seen).clip(0, 255).astype(np.uint8)


def composed_scenes(count: int, *, first_seed: int) -> list[Scene]:
    """Return composed clips of pictures that training never saw, every third with twins."""
    photos = _photos()
    out = []
    for index in range(count):
        seed = first_seed + index
        rng = np.random.default_rng(seed)
        clip = compose(
            photos,
            seed=seed,
            frames=FRAMES,
            size=SIZE,
            objects=int(rng.integers(3, 6)),
            twins=index % 3 == 0,
            photometric=float(rng.uniform(0.3, 1.5)),
        )
        out.append(_scene(clip, f"composed-{seed}"))
    return out


def real_pairs(opencv: Path = OPENCV_DOC) -> tuple[list[Scene], list[str]]:
    """Return the real pairs that are there, and a sentence for each that is not.

    Args:
        opencv: the folder of pictures of the Debian package opencv-doc.
    """
    if not opencv.is_dir():
        reason = "the pictures of the Debian package opencv-doc are not there, see --opencv-doc"
        return [_motorcycle()], [f"graf and rubberwhale were left out: {reason}"]
    return [_motorcycle(), _graf(opencv), _rubberwhale(opencv)], []


def _scene(clip: ComposedClip, name: str) -> Scene:
    def places(frame: int, points: Array, to: int) -> tuple[Array, npt.NDArray[np.bool_]]:
        where, seen = clip.places(frame=frame, points=points, to=to)
        return where, seen.astype(bool)

    twin = next((k for k, original in enumerate(clip.twins) if original != k), 0)
    frames = tuple(range(len(clip.frames)))
    return Scene(name, "composed", clip.frames, clip.labels, twin, places, frames)


def _motorcycle() -> Scene:
    """Middlebury 2014 stereo pair of scikit-image: x in the right picture is x - disparity."""
    folder = _package("skimage") / "data"
    left, right = (_read(folder / f"motorcycle_{side}.png") for side in ("left", "right"))
    disparity = np.load(folder / "motorcycle_disp.npz")["arr_0"]

    def places(points: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
        y, x = np.rint(points).astype(int).T
        shift = disparity[y.clip(0, len(disparity) - 1), x.clip(0, disparity.shape[1] - 1)]
        known = np.isfinite(shift)
        return points - np.stack([0 * shift, np.where(known, shift, 0)], axis=1), known

    return _pair("motorcycle", left, right, places)


def _graf(folder: Path) -> Scene:
    """OpenCV's graf1 and graf3, with the homography from one to the other."""
    storage = cv2.FileStorage(str(folder / "H1to3p.xml"), cv2.FILE_STORAGE_READ)
    homography = storage.getNode("H13").mat()
    storage.release()

    def places(points: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
        xy = points[:, None, ::-1].astype(np.float64)
        moved = np.asarray(cv2.perspectiveTransform(xy, homography), np.float64)[:, 0, ::-1]
        return moved, np.ones(len(points), bool)

    return _pair("graf", _read(folder / "graf1.png"), _read(folder / "graf3.png"), places)


def _rubberwhale(folder: Path) -> Scene:
    """OpenCV's rubberwhale pair; the flow is not beside it, so DIS flow stands in for the truth."""
    first, second = (_read(folder / f"rubberwhale{k}.png") for k in (1, 2))
    grey = [cv2.cvtColor(p, cv2.COLOR_RGB2GRAY) for p in (first, second)]
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = dis.calc(grey[0], grey[1], np.zeros((*grey[0].shape, 2), np.float32))

    def places(points: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
        y, x = np.rint(points).astype(int).T
        shift = flow[y.clip(0, len(flow) - 1), x.clip(0, flow.shape[1] - 1), ::-1]
        return points + shift, np.ones(len(points), bool)

    return _pair("rubberwhale", first, second, places)


def _pair(
    name: str,
    first: Picture,
    second: Picture,
    places: Callable[[Array], tuple[Array, npt.NDArray[np.bool_]]],
) -> Scene:
    """Resize a pair to a shorter side of 224, the truth with it."""
    height, width = first.shape[:2]
    scale = 224 / min(height, width)
    size = tuple(round(n * scale / 16) * 16 for n in (height, width))
    frames = np.stack(
        [cv2.resize(p, size[::-1], interpolation=cv2.INTER_AREA) for p in (first, second)]
    ).astype(np.uint8)
    factor = np.array(size) / (height, width)

    def resized(frame: int, points: Array, to: int) -> tuple[Array, npt.NDArray[np.bool_]]:
        where, known = places((points + 0.5) / factor - 0.5)
        where = (where + 0.5) * factor - 0.5
        inside = ((where >= 0) & (where <= np.array(size) - 1)).all(axis=1)
        return where, known & inside

    labels = np.ones(frames.shape[:3], np.uint8)
    return Scene(name, name, frames, labels, 0, resized, (0,))


def _photos() -> list[Picture]:
    skimage = _package("skimage") / "data"
    paths = [skimage / name for name in (*_COLOUR, *_MORE, *_GREY)]
    paths += [_package("sklearn") / "datasets" / "images" / n for n in ("china.jpg", "flower.jpg")]
    return [_read(path) for path in paths]


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise SystemExit(f"the benchmark needs the package {name}; install the extra 'dev'")
    return Path(spec.origin).parent


def _read(path: Path) -> Picture:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise SystemExit(f"the benchmark needs the picture {path}, which is not there")
    return np.ascontiguousarray(picture[..., ::-1]).astype(np.uint8)
