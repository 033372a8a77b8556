"""Composed clips: cut-outs that move over a moving photograph, with every correspondence known.

Every layer is a flat picture in its own *material* frame (y, x in pixels of the cut-out); layer 0
is the background. In frame t layer k lies where the affine map ``transforms[k, t]`` takes it, so
the true place of any point in any other frame is one inverse and one forward map away, and the
labels say whether something hides it there. Pixel coordinates are 0-based; the centre of pixel
(y, x) is at (y, x).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from nlviz.errors import NlvizError

Array = npt.NDArray[np.float64]
Picture = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class ComposedClip:
    """Frames of a composed clip and where everything in them went.

    Attributes:
        frames: (T, H, W, 3) RGB uint8 in [0, 255].
        labels: (T, H, W) uint8, the layer that is seen at each pixel; 0 is the background.
        transforms: (layers, T, 2, 3) affine maps from (y, x, 1) of the layer's material frame to
            (y, x) in pixels of the frame.
        twins: for every layer the layer of which it is an identical copy, or its own index.

    >>> photo = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    >>> clip = compose([photo], seed=1, frames=3, size=(64, 96), objects=2)
    >>> clip.frames.shape, clip.transforms.shape
    ((3, 64, 96, 3), (3, 3, 2, 3))
    """

    frames: Picture
    labels: Picture
    transforms: Array
    twins: tuple[int, ...]

    def material(self) -> npt.NDArray[np.float32]:
        """Return (T, H, W, 2): every pixel's place (y, x) in its own layer's material frame."""
        frames, height, width = self.labels.shape
        grid = np.indices((height, width)).reshape(2, -1).T.astype(np.float64)
        out = np.empty((frames, height, width, 2), np.float32)
        for t in range(frames):
            layer = self.labels[t].reshape(-1)
            backwards = np.stack([_invert(m) for m in self.transforms[:, t]])[layer]
            out[t] = _apply(backwards, grid).reshape(height, width, 2)
        return out

    def places(self, *, frame: int, points: npt.ArrayLike, to: int) -> tuple[Array, Array]:
        """Return where points of one frame lie in another frame, and whether they are seen there.

        Args:
            frame: index of the frame of the points.
            points: (N, 2) y and x in pixels; the layer is the one seen at the nearest pixel.
            to: index of the other frame.

        Returns:
            places: (N, 2) y and x in the frame `to`, also where the point is hidden or outside.
            seen: (N,) bool, whether the point's own layer is what the frame `to` shows there.

        >>> photo = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
        >>> clip = compose([photo], seed=1, frames=3, size=(64, 96), objects=2)
        >>> places, seen = clip.places(frame=1, points=[[10, 20]], to=1)
        >>> np.allclose(places, [[10, 20]]), bool(seen[0])
        (True, True)
        """
        points = np.asarray(points, np.float64).reshape(-1, 2)
        layer = self.layer_at(frame, points)
        if (layer < 0).any():
            y, x = points[layer < 0][0]
            height, width = self.labels.shape[1:]
            raise NlvizError(
                f"points must lie within the {width}x{height} frame, got y={y:g}, x={x:g}"
            )
        backwards = np.stack([_invert(m) for m in self.transforms[:, frame]])[layer]
        places = _apply(self.transforms[layer, to], _apply(backwards, points))
        return places, self.layer_at(to, places) == layer

    def save_truth(self, path: str | Path) -> None:
        """Write labels, transforms and twins, everything but the frames, as a compressed .npz."""
        np.savez_compressed(
            path,
            labels=self.labels,
            transforms=self.transforms.astype(np.float32),
            twins=np.array(self.twins, np.uint8),
        )

    @classmethod
    def load(cls, truth: str | Path, frames: Picture) -> ComposedClip:
        """Read what `save_truth` wrote, for the frames of the film that it belongs to.

        Raises:
            NlvizError: when the number or size of the frames is not that of the labels.
        """
        with np.load(truth) as stored:
            labels, transforms = stored["labels"], stored["transforms"].astype(np.float64)
            twins = tuple(int(k) for k in stored["twins"])
        if frames.shape != (*labels.shape, 3):
            raise NlvizError(
                f"the truth in {Path(truth).name} is for frames of shape {(*labels.shape, 3)}, got "
                f"{frames.shape}; read every frame at its own size"
            )
        return cls(frames, labels, transforms, twins)

    def layer_at(self, frame: int, points: Array) -> npt.NDArray[np.int64]:
        """Return (N,) the layer seen at the nearest pixel of each point, -1 outside the frame."""
        height, width = self.labels.shape[1:]
        y, x = np.rint(points).astype(np.int64).T
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        found = self.labels[frame][y.clip(0, height - 1), x.clip(0, width - 1)]
        return np.where(inside, found.astype(np.int64), -1)


@dataclass(frozen=True, eq=False)
class CutOut:
    """One object cut from a photograph.

    Attributes:
        texture: (h, w, 3) RGB uint8.
        alpha: (h, w) float32 opacity in [0, 1], soft at the edge.
    """

    texture: Picture
    alpha: npt.NDArray[np.float32]


def compose(
    photos: Sequence[Picture],
    *,
    seed: int,
    frames: int = 4,
    size: tuple[int, int] = (224, 304),
    objects: int = 4,
    twins: bool = False,
    photometric: float = 1.0,
) -> ComposedClip:
    """Compose a clip of objects cut from photographs that move, turn, scale and hide.

    The paths are smooth functions of the time from the first to the last frame, so that more frames
    of the same seed are a finer sampling of the same motion.

    Args:
        photos: (H, W, 3) RGB uint8 pictures to cut objects and the background from.
        seed: the same photos and seed give the same clip.
        frames: number of frames.
        size: height and width in pixels.
        objects: number of objects, twins not counted.
        twins: whether the first object gets an identical copy on a path of its own.
        photometric: strength of the change of brightness, contrast and tint per frame.

    Raises:
        NlvizError: when there is no photo or no frame to make.

    >>> photo = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    >>> compose([photo], seed=1, frames=2, size=(64, 96), objects=2, twins=True).twins
    (0, 1, 2, 1)
    """
    if not photos or frames < 1:
        raise NlvizError(f"a composed clip needs photos and frames, got {len(photos)} and {frames}")
    rng = np.random.default_rng(seed)
    chosen = rng.permutation(len(photos))
    sources = [photos[i] for i in chosen]
    background = _background(sources[0], size, rng)
    pieces = []
    for k in range(objects):
        extent = rng.uniform(0.28, 0.58) * min(size)
        pieces.append(cut_blob(sources[(k + 1) % len(sources)], extent, rng))
    twin_of = list(range(objects + 1))
    if twins and pieces:
        pieces.append(pieces[0])
        twin_of.append(1)
    times = np.linspace(0.0, 1.0, frames)
    maps = [drift(background, size, times, rng)]
    maps += [wander(piece, size, times, rng) for piece in pieces]
    lights = _lights(times, photometric, rng)
    return render(background, pieces, np.stack(maps), size, lights=lights, twins=twin_of)


def render(
    background: Picture,
    pieces: Sequence[CutOut],
    transforms: Array,
    size: tuple[int, int],
    *,
    lights: Array | None = None,
    twins: Sequence[int] | None = None,
) -> ComposedClip:
    """Draw layers where their transforms say; later pieces lie over earlier ones.

    Args:
        background: (h, w, 3) RGB uint8, layer 0; mirrored where a frame reaches beyond it.
        pieces: the cut-outs, layers 1, 2, ...
        transforms: (layers, T, 2, 3) from (y, x, 1) of each layer to (y, x) of the frame.
        size: height and width of the frames in pixels.
        lights: (T, 2, 3) factor and offset in grey levels per frame and channel, or None.
        twins: see `ComposedClip.twins`.
    """
    height, width = size
    frames = transforms.shape[1]
    out = np.empty((frames, height, width, 3), np.uint8)
    labels = np.zeros((frames, height, width), np.uint8)
    for t in range(frames):
        canvas = _warp(background, transforms[0, t], size, cv2.BORDER_REFLECT_101)
        canvas = canvas.astype(np.float32)
        for k, piece in enumerate(pieces, start=1):
            alpha = _warp(piece.alpha, transforms[k, t], size, cv2.BORDER_CONSTANT)
            texture = _warp(piece.texture, transforms[k, t], size, cv2.BORDER_REPLICATE)
            canvas += alpha[..., None] * (texture.astype(np.float32) - canvas)
            labels[t][alpha > 0.5] = k
        if lights is not None:
            canvas = canvas * lights[t, 0] + lights[t, 1]
        out[t] = np.rint(canvas).clip(0, 255).astype(np.uint8)
    return ComposedClip(out, labels, transforms, tuple(twins or range(len(pieces) + 1)))


def cut_blob(photo: Picture, extent: float, rng: np.random.Generator) -> CutOut:
    """Cut a blob of random smooth outline from the most textured of a few random places.

    Args:
        photo: (H, W, 3) RGB uint8.
        extent: diameter of the blob in pixels of the cut-out.
        rng: source of chance.

    >>> photo = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    >>> cut_blob(photo, 40, np.random.default_rng(0)).texture.shape
    (40, 40, 3)
    """
    side = max(round(extent), 8)
    height, width = photo.shape[:2]
    places = []
    for _ in range(6):
        window = int(min(side * rng.uniform(0.8, 2.2), height, width))
        y, x = rng.integers(0, height - window + 1), rng.integers(0, width - window + 1)
        crop = cv2.resize(
            photo[y : y + window, x : x + window], (side, side), interpolation=cv2.INTER_AREA
        )
        detail = crop.astype(np.float32) - cv2.GaussianBlur(crop, (0, 0), side / 12)
        places.append((float(np.abs(detail).mean()), crop))
    texture = max(places, key=lambda place: place[0])[1].astype(np.uint8)
    if rng.random() < 0.5:
        texture = np.ascontiguousarray(texture[:, ::-1])
    return CutOut(texture, _blob(side, rng))


def affine(*, scale: float, turn: float, pivot: npt.ArrayLike, place: npt.ArrayLike) -> Array:
    """Return the (2, 3) map on (y, x, 1) that scales, turns and puts the pivot at a place.

    >>> affine(scale=2, turn=0, pivot=(1, 1), place=(5, 7)) @ [1, 2, 1]
    array([5., 9.])
    """
    c, s = scale * np.cos(turn), scale * np.sin(turn)
    linear = np.array([[c, -s], [s, c]])
    return np.column_stack([linear, np.asarray(place) - linear @ np.asarray(pivot)])


def _blob(side: int, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Opacity of a blob whose radius is a random smooth function of the angle."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side * 2 - 1
    stretch = rng.uniform(0.65, 1.0)
    angle, radius = np.arctan2(y, x), np.hypot(y, x / stretch)
    outline = np.ones_like(angle)
    for wave in range(2, 7):
        outline += rng.normal(0, 0.32 / wave) * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    outline *= 0.96 / outline.max()
    softness = 1.5 * 2 / side
    alpha: npt.NDArray[np.float32] = np.clip((outline - radius) / softness + 0.5, 0, 1)
    return alpha.astype(np.float32)


def _background(photo: Picture, size: tuple[int, int], rng: np.random.Generator) -> Picture:
    """Return the photo, scaled to cover the frame with room to drift and zoom."""
    cover = max(size[0] / photo.shape[0], size[1] / photo.shape[1]) * rng.uniform(1.3, 1.8)
    shape = (round(photo.shape[1] * cover), round(photo.shape[0] * cover))
    way = cv2.INTER_AREA if cover < 1 else cv2.INTER_LINEAR
    return cv2.resize(photo, shape, interpolation=way).astype(np.uint8)


def drift(
    background: Picture, size: tuple[int, int], times: Array, rng: np.random.Generator
) -> Array:
    """Return (T, 2, 3) maps of a background that covers the frame, drifts, turns and zooms.

    Args:
        background: (h, w, 3) RGB uint8, larger than the frames.
        size: height and width of the frames in pixels.
        times: (T,) from 0 at the first to 1 at the last frame.
        rng: source of chance.
    """
    room = (np.array(background.shape[:2]) - size) / 2
    zoom = np.exp(rng.normal(0, 0.12) * (times - 0.5))
    turn = rng.normal(0, 0.06) * (times - 0.5)
    ends = rng.uniform(-0.7, 0.7, (2, 2)) * room
    pivot = np.array(background.shape[:2]) / 2
    out = [
        affine(
            scale=z, turn=a, pivot=pivot, place=np.array(size) / 2 + ends[0] * (1 - u) + ends[1] * u
        )
        for u, z, a in zip(times, zoom, turn, strict=True)
    ]
    return np.stack(out)


def wander(piece: CutOut, size: tuple[int, int], times: Array, rng: np.random.Generator) -> Array:
    """Return (T, 2, 3) maps of one object: a curved path across the frame, sometimes off its edge.

    Args:
        piece: the cut-out.
        size: height and width of the frames in pixels.
        times: (T,) from 0 at the first to 1 at the last frame.
        rng: source of chance.
    """
    frame = np.array(size, np.float64)
    ends = rng.uniform(0.0, 1.0, (3, 2))
    # The ends are pushed apart, so that the object moves far.
    apart = ends[2] - ends[0]
    reach = np.linalg.norm(apart) + 1e-9
    ends[2] += apart / reach * max(0.0, 0.5 - reach)
    turn = rng.normal(0, 0.5) * (times - rng.uniform(0, 1))
    scale = np.exp(rng.normal(0, 0.22) * (times - 0.5) + rng.normal(0, 0.05))
    pivot = np.array(piece.alpha.shape) / 2
    out = []
    for u, z, a in zip(times, scale, turn, strict=True):
        place = ((1 - u) ** 2 * ends[0] + 2 * u * (1 - u) * ends[1] + u**2 * ends[2]) * frame
        out.append(affine(scale=z, turn=a, pivot=pivot, place=place))
    return np.stack(out)


def _lights(times: Array, strength: float, rng: np.random.Generator) -> Array:
    """Factor and offset per frame and channel."""
    out = np.empty((len(times), 2, 3))
    tint = rng.normal(0, 0.04 * strength, (2, 3))
    phase = rng.uniform(0, 2 * np.pi, 2)
    for t, u in enumerate(times):
        wave = np.sin(2 * np.pi * u + phase[0])
        out[t, 0] = np.exp(0.12 * strength * wave + tint[0] * np.sin(2 * np.pi * u + phase[1]))
        out[t, 1] = 8 * strength * np.sin(3 * u + phase[1]) + 100 * tint[1] * u
    return out


def _warp(
    picture: npt.NDArray[np.uint8] | npt.NDArray[np.float32],
    transform: Array,
    size: tuple[int, int],
    border: int,
) -> npt.NDArray[np.float32]:
    """Draw a layer into the frame; OpenCV counts x before y."""
    swapped = transform[::-1][:, [1, 0, 2]]
    out = cv2.warpAffine(
        picture, swapped, (size[1], size[0]), flags=cv2.INTER_LINEAR, borderMode=border
    )
    return out.astype(np.float32)


def _invert(transform: Array) -> Array:
    """Inverse of a (2, 3) affine map."""
    linear = np.linalg.inv(transform[:, :2])
    return np.column_stack([linear, -linear @ transform[:, 2]])


def _apply(transforms: Array, points: Array) -> Array:
    """Apply (N, 2, 3) maps to (N, 2) points."""
    moved: Array = np.einsum("nij,nj->ni", transforms[..., :2], points) + transforms[..., 2]
    return moved
