"""How a transformer takes pictures, from what lies beside its weights: configuration, processor.

The library transformers saves a network's ``config.json`` and, where its author did so too, how
pictures are resized and normalised: ``preprocessor_config.json`` and its later names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nlviz.errors import NlvizError
from nlviz.families.reading.input_spec import Colours, InputSpec
from nlviz.files.checked_json import parsed_json

PROCESSORS = ("video_preprocessor_config.json", "preprocessor_config.json", "processor_config.json")
_MOST = 1 << 20  # bytes of a processor's file
_KINDS = ("video_processor", "image_processor", "feature_extractor")  # within the last of them


def processor_in(folder: Path, *, video: bool) -> Mapping[str, Any]:
    """Return what a folder says of pictures; empty where it says nothing.

    Args:
        folder: of a saved network.
        video: whether the network takes videos, whose processor goes first then.

    Raises:
        NlvizError: when a file is no JSON object.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / PROCESSORS[1]).write_text('{"image_mean": [0.5, 0.5, 0.5]}')
    ...     processor_in(Path(folder), video=True)
    {'image_mean': [0.5, 0.5, 0.5]}
    """
    names = PROCESSORS if video else PROCESSORS[1:]
    return read_processor([folder / name for name in names], video=video)


def read_processor(paths: list[Path], *, video: bool) -> Mapping[str, Any]:
    """Return what the first of these files that is there says of pictures.

    Raises:
        NlvizError: when it is no JSON object.
    """
    for path in paths:
        if not path.is_file():
            continue
        if path.stat().st_size > _MOST:
            raise NlvizError(
                f"{path.name} must be a small file, it has {path.stat().st_size} bytes"
            )
        found = parsed_json(path.read_bytes(), of=path.name)
        if not isinstance(found, dict):
            raise NlvizError(f"{path.name} must be a JSON object, it is a {type(found).__name__}")
        for kind in _KINDS if video else _KINDS[1:]:
            if isinstance(found.get(kind), dict):
                return found[kind]  # type: ignore[no-any-return]
        if "image_mean" in found or "size" in found or "do_resize" in found:
            return found
    return {}


def input_spec_of(
    sides: tuple[int, int] | None,
    patch: int,
    frames: int | None,
    processor: Mapping[str, Any],
    *,
    video: bool,
    any_size: bool,
    least_frames: int = 1,
) -> InputSpec:
    """Return how a clip becomes the input of a transformer.

    The whole picture is kept: a centre crop of the processor only says the size.

    Args:
        sides: height and width as its configuration has them, or None.
        patch: side of a patch in pixels; of windows, where pictures must be a multiple of them.
        frames: of the clips that it was trained on, or None.
        processor: see ``processor_in``; may be empty.
        video: whether it takes (1, T, 3, H, W).
        any_size: whether it takes pictures of any size, so that a clip keeps its aspect.
        least_frames: fewer it does not take.

    Raises:
        NlvizError: when the processor holds what cannot be meant.

    >>> spec = input_spec_of((30, 30), 6, 4, {"image_mean": [0.5] * 3, "image_std": [0.25] * 3},
    ...     video=True, any_size=False)
    >>> spec.sides, spec.layout, spec.normalisation()
    ((30, 30), 'frames first', ((127.5, 127.5, 127.5), (63.75, 63.75, 63.75)))
    """
    mean, std = _normalisation(processor)
    told = _size_of(processor)
    if any_size or sides is None:
        sides_taken, size = None, min(told or sides or (224, 224))
    else:
        sides_taken, size = sides, min(sides)
    fps = processor.get("fps")
    return InputSpec(
        size=max(round(size / patch), 1) * patch,
        multiple=patch,
        mean=mean,
        std=std,
        white=255,
        layout="frames first" if video else "frames",
        frames=frames,
        least_frames=least_frames,
        sides=sides_taken,
        fps=float(fps) if isinstance(fps, (int, float)) and not isinstance(fps, bool) else None,
    )


def _normalisation(processor: Mapping[str, Any]) -> tuple[Colours, Colours]:
    """Return mean and deviation on pixels in [0, 255].

    A processor computes (x r - o - m) / s: r to rescale, o where that centres, m and s.
    """
    r = _number(processor, "rescale_factor", 1 / 255) if processor.get("do_rescale", True) else 1.0
    o = 1.0 if processor.get("offset") and processor.get("do_rescale", True) else 0.0
    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    if processor.get("do_normalize", True):
        mean = _colours(processor, "image_mean", (0.485, 0.456, 0.406))
        std = _colours(processor, "image_std", (0.229, 0.224, 0.225))
    return tuple((m + o) / r for m in mean), tuple(s / r for s in std)


def _size_of(processor: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return height and width of what a processor makes; equal where it names the shorter side."""
    kinds = ("crop_size", "size") if processor.get("do_center_crop", True) else ("size",)
    for kind in kinds:
        value: Any = processor.get(kind)
        if isinstance(value, dict):
            sides = value.get("height"), value.get("width")
            edge = value.get("shortest_edge")
            value = list(sides) if all(sides) else edge
        if _whole(value):
            return int(value), int(value)
        if isinstance(value, list) and len(value) == 2 and all(map(_whole, value)):
            return int(value[0]), int(value[1])
    return None


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 1 << 14


def _number(processor: Mapping[str, Any], name: str, default: float) -> float:
    value = processor.get(name, default)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise NlvizError(f"{name} of the processor must be a number above 0, got {value!r}")
    return float(value)


def _colours(
    processor: Mapping[str, Any], name: str, default: tuple[float, float, float]
) -> tuple[float, float, float]:
    value = processor.get(name)
    if value is None:
        return default
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        value = [value] * 3
    if not (
        isinstance(value, (list, tuple))
        and len(value) == 3
        and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value)
    ):
        raise NlvizError(f"{name} of the processor must be three numbers, got {value!r}")
    return float(value[0]), float(value[1]), float(value[2])
