"""Writes the clips that ``docs/survey-findings.md`` is about: many short films, labelled.

    python -m nlviz.recipes.survey_clips CLIPS --footage FOOTAGE [FOLDER ...]

``CLIPS/films`` holds a folder for each film of the footage, the bundled ones included, cut into
windows of two seconds that do not overlap; and ``composed``, drawn from scikit-image's photographs.
``CLIPS/recall`` holds a folder for each colour, with a folder of numbered pictures for each clip of
the recall task, of digits that training never saw: pictures keep every bit, where a film would not.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np

from nlviz.networks.recall import COLOURS
from nlviz.recipes.bundled_clips import write_clip
from nlviz.recipes.composed import Picture, compose
from nlviz.recipes.footage import list_films
from nlviz.recipes.recall_clips import recall_clips
from nlviz.resources import bundled_inputs

SECONDS = 2.0
SHORTER = 360  # pixels that the shorter side of a film is reduced to
QUALITY, PRESET = 16, "veryfast"  # of H.264: no difference is seen, and files may be large
COMPOSED = ("astronaut.png", "chelsea.png", "coffee.png", "hubble_deep_field.jpg", "rocket.jpg")


def windows(path: Path, *, seconds: float = SECONDS) -> Iterator[tuple[float, Picture]]:
    """Yield a film's windows, each with its start in seconds; a rest of half a window is left out.

    Args:
        path: the film.
        seconds: that a window lasts.

    >>> from nlviz.resources import asset
    >>> [(round(start), frames.shape) for start, frames in windows(asset("clips/bunny.mp4"))][:2]
    [(0, (50, 360, 640, 3)), (2, (50, 360, 640, 3))]
    """
    with av.open(str(path)) as container:
        rate = float(container.streams.video[0].average_rate or 25)
        most = max(round(seconds * rate), 2)
        kept: list[Picture] = []
        number = 0
        for frame in container.decode(video=0):
            picture = frame.to_ndarray(format="rgb24")
            factor = min(SHORTER / min(picture.shape[:2]), 1.0)
            # H.264 has chroma for each second pixel alone.
            size = [2 * round(side * factor / 2) for side in picture.shape[1::-1]]
            kept.append(cv2.resize(picture, size, interpolation=cv2.INTER_AREA).astype(np.uint8))
            if len(kept) == most:
                yield number * most / rate, np.stack(kept)
                kept, number = [], number + 1
        if len(kept) > most / 2:
            yield number * most / rate, np.stack(kept)


def rate_of(path: Path) -> int:
    """Return a film's frames per second, as a whole number."""
    with av.open(str(path)) as container:
        return max(round(float(container.streams.video[0].average_rate or 25)), 1)


def write_windows(path: Path, out: Path) -> int:
    """Write a film's windows below a folder of its name; return how many there are."""
    folder = out / path.stem
    folder.mkdir(parents=True, exist_ok=True)
    rate, count = rate_of(path), 0
    for start, frames in windows(path):
        name = folder / f"{path.stem}-{start:06.2f}.mp4"
        write_clip(name, frames, fps=rate, quality=QUALITY, preset=PRESET)
        count += 1
    return count


def write_composed(out: Path, count: int) -> None:
    """Write films of cut-outs that move over a moving photograph, each of another seed."""
    import skimage

    pictures = Path(skimage.__file__).parent / "data"
    photos = [
        np.asarray(cv2.imread(str(pictures / name)), np.uint8)[..., ::-1] for name in COMPOSED
    ]
    folder = out / "composed"
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(count):
        clip = compose(photos, seed=1000 + seed, frames=24, size=(224, 304))
        name = folder / f"composed-{seed:03d}.mp4"
        write_clip(name, clip.frames, fps=12, quality=QUALITY, preset=PRESET)


def write_recall(out: Path, count: int, *, seed: int = 7) -> None:
    """Write clips of the recall task as folders of pictures, below a folder for each answer."""
    clips = recall_clips(count, seed=seed)
    for number, (frames, answer) in enumerate(zip(clips.frames, clips.answers, strict=True)):
        folder = out / COLOURS[answer] / f"recall-{number:04d}"
        folder.mkdir(parents=True, exist_ok=True)
        for t, picture in enumerate(frames):
            cv2.imwrite(str(folder / f"{t}.png"), picture[..., ::-1])


def main(arguments: Sequence[str] | None = None) -> None:
    """Write all clips."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--footage", type=Path, nargs="*", default=[], help="folders of films")
    parser.add_argument("--composed", type=int, default=60)
    parser.add_argument("--recall", type=int, default=400)
    given = parser.parse_args(arguments)
    bundled = [path for path in bundled_inputs().values() if path.suffix == ".mp4"]
    for path in (*bundled, *list_films(given.footage)):
        print(f"{path.name}: {write_windows(path, given.out / 'films')} windows")
    write_composed(given.out / "films", given.composed)
    write_recall(given.out / "recall", given.recall)


if __name__ == "__main__":
    main()
