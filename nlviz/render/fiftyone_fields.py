"""Maps and figures of heads as fields of a FiftyOne dataset (https://docs.voxel51.com).

FiftyOne counts the frames of a video from 1; nlviz counts sampled frames from 0. Points there are
shares of a picture's width and height. A heat map there is stretched over the whole picture, so
that a map whose cells do not tile the picture is laid on its pixels first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nlviz.affinity.attention_map import AttentionMap
from nlviz.affinity.by_frame import key_planes
from nlviz.analysis.opening_query import opening_query
from nlviz.analysis.statistics import row_statistics
from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip, read_clip
from nlviz.clips.inputs import frame_times
from nlviz.clips.point import Point, Triple
from nlviz.errors import NlvizError
from nlviz.files.extras import needs
from nlviz.progress import Listener, Progress
from nlviz.render.colour_scale import scale_of
from nlviz.render.fiftyone_survey import Figures, figures_of_survey
from nlviz.render.frame_maps import laid_on
from nlviz.zoo.load import load_model

FRAMES = 8
Asked = Point | Triple | Callable[[Clip], Point | Triple] | None


@dataclass(frozen=True)
class FiftyOneReport:
    """What ``to_fiftyone`` did.

    Attributes:
        done: number of samples that have fields now.
        failed: why others have none: a sentence by file path.
        fields: names of the fields, those of frames after ``frames.``.
    """

    done: int
    failed: dict[str, str] = field(default_factory=dict)
    fields: tuple[str, ...] = ()


def to_fiftyone(
    samples: Any,
    *,
    model: str | Model | None = None,
    block: str | None = None,
    query: Asked = None,
    head: int | str = "mean",
    survey: Any = None,
    name: str = "nlviz",
    start: float = 0.0,
    stride: int | None = None,
    frames: int | None = FRAMES,
    size: int | None = None,
    device: str = "auto",
    progress: Listener | None = None,
) -> FiftyOneReport:
    """Add heat maps and figures of heads to the samples of a FiftyOne dataset.

    Of a network (``model``), for each picture, or each sampled frame of a video:

    - ``NAME``: a ``Heatmap`` in multiples of uniform attention, float32, with its ``range`` and the
      weight of ``uniform`` attention; on frames of videos as ``frames.NAME``, on no other frames.
    - ``NAME_query``: the query as a ``Keypoints``, on its own frame.
    - ``NAME_heads``: by block and head, figures of the query's row: ``effective`` keys,
      ``own_frame`` share, ``pixels`` and ``seconds`` to where it looks, ``strongest`` other key in
      multiples of uniform attention; with the ``receipt`` of the block.
    - ``NAME_label``: what the network says the clip shows, where it gives class scores.

    Of a survey (``survey``), ``NAME_heads`` alone: the mean of every figure over the queries that
    were sampled of a clip, found by the digest of its file. ``model`` is not run.

    A sample that cannot be read or shown keeps its fields as they were, and is in ``failed``.

    Args:
        samples: a dataset or a view of one, of pictures or videos.
        model: a network, or its name; "lite-nl" where neither it nor a survey is given.
        block: name of the block; the last one by default.
        query: (frame, y, x) in sampled frames and pixels of the file; or a function that takes the
            clip and returns one; by a stated rule when None.
        head: a head from 0, ``mean`` or ``max``; of the heat map.
        survey: what ``nlviz.survey`` or ``nlviz.read_survey`` returned, or the folder of one.
        name: what the fields are called.
        start: seconds of a video to skip.
        stride: take every stride-th frame; None spreads ``frames`` evenly over the rest.
        frames: how many frames of a video; None takes all.
        size: shorter side in pixels; None keeps the file's own.
        device: where the network runs.
        progress: called with a sentence and a share in [0, 1].

    Returns:
        How many samples were done, and why others were not.

    Raises:
        NlvizError: when fiftyone is not installed, or ``samples`` are none of its; when the name is
            none that a field can have, or both a network and a survey are given.

    >>> to_fiftyone([], name="2 words")
    Traceback (most recent call last):
    nlviz.errors.NlvizError: a field's name is letters, digits and _, got '2 words'
    """
    if not name.isidentifier():
        raise NlvizError(f"a field's name is letters, digits and _, got {name!r}")
    if survey is not None and model is not None:
        raise NlvizError("figures are of a survey or of a network; leave one of the two out")
    with needs("fiftyone", extra="fiftyone", what="nlviz.to_fiftyone"):
        import fiftyone as fo
    from fiftyone.core.collections import SampleCollection

    if not isinstance(samples, SampleCollection):
        raise NlvizError(
            "nlviz.to_fiftyone takes a dataset of FiftyOne or a view of one, got "
            f"{type(samples).__name__}; load it with fiftyone.load_dataset"
        )
    tell = Progress.of(progress)
    writer: _Writer
    if survey is not None:
        writer = _OfSurvey(fo, name, figures_of_survey(survey))
    else:
        net = model if isinstance(model, Model) else load_model(model or "lite-nl", device=device)
        sampling = {"start": start, "stride": stride, "frames": frames, "size": size}
        writer = _OfModel(fo, name, net, block, query, head, sampling)
    done, failed = 0, dict[str, str]()
    count = max(len(samples), 1)
    for number, sample in enumerate(_samples(samples)):
        tell("Looking at the samples", number / count)
        try:
            writer.write(sample)
        except NlvizError as error:
            failed[sample.filepath] = str(error)
            continue
        sample.save()
        done += 1
    whole = isinstance(samples, fo.Dataset)
    dataset = samples if whole else fo.load_dataset(samples.dataset_name)
    if done:
        dataset.add_dynamic_sample_fields()
        writer.describe(dataset)
    return FiftyOneReport(done, failed, writer.fields(dataset))


def _samples(samples: Any) -> Iterator[Any]:
    yield from samples.iter_samples()


class _Writer:
    """Writes the fields of one sample."""

    def __init__(self, fo: Any, name: str) -> None:
        self.fo, self.name = fo, name

    def write(self, sample: Any) -> None:
        """Set the fields of a sample; it is saved by who calls."""
        raise NotImplementedError

    def describe(self, dataset: Any) -> None:
        """Say in the dataset what the fields are."""
        self._info(dataset, f"{self.name}_heads", {"made_by": "nlviz"})

    def fields(self, dataset: Any) -> tuple[str, ...]:
        """Return the names of the fields that are there now."""
        own = [n for n in dataset.get_field_schema() if self._is_own(n)]
        if dataset.media_type in ("video", "group"):
            framed = dataset.get_frame_field_schema() or {}
            own += [f"frames.{n}" for n in framed if self._is_own(n)]
        return tuple(own)

    def _is_own(self, name: str) -> bool:
        kinds = ("", "_query", "_heads", "_label")
        return name in [f"{self.name}{kind}" for kind in kinds]

    def _info(self, dataset: Any, path: str, info: dict[str, Any]) -> None:
        found = dataset.get_field(path)
        if found is not None:
            found.info = info
            found.save()

    def _heads(self, figures: Figures) -> Any:
        """Return figures by block and head as a document; names of blocks lose their dots."""
        document = self.fo.DynamicEmbeddedDocument
        return document(
            **{
                _plain(block): document(
                    **{
                        key: document(**value) if isinstance(value, dict) else value
                        for key, value in heads.items()
                    }
                )
                for block, heads in figures.items()
            }
        )


class _OfSurvey(_Writer):
    def __init__(self, fo: Any, name: str, of: Callable[[Path], Figures]) -> None:
        super().__init__(fo, name)
        self.of = of

    def write(self, sample: Any) -> None:
        sample[f"{self.name}_heads"] = self._heads(self.of(Path(sample.filepath)))


class _OfModel(_Writer):
    def __init__(
        self,
        fo: Any,
        name: str,
        net: Model,
        block: str | None,
        query: Asked,
        head: int | str,
        sampling: dict[str, Any],
    ) -> None:
        super().__init__(fo, name)
        self.net, self.block, self.query, self.head = net, block, query, head
        self.sampling = sampling
        self.told: dict[str, Any] = {}

    def write(self, sample: Any) -> None:
        path = Path(sample.filepath)
        still = sample.media_type == "image"
        if not still and sample.media_type != "video":
            raise NlvizError(f"{path.name} is of the kind {sample.media_type}, no picture or video")
        sampling = {"size": self.sampling["size"]} if still else self.sampling
        capture = self.net.capture(read_clip(path, **sampling))
        if not len(capture.affinities):
            raise NlvizError(f"{capture.about.name} has no block that can be shown")
        block = self.block or list(capture.affinities)[-1]
        affinity = capture.affinities[block]
        at = self._asked(capture, block)
        attention = affinity.map(frame=at.frame, y=at.y, x=at.x, head=self.head)  # type: ignore[arg-type]
        if attention.keys.kind != "grid":
            raise NlvizError(f"{block} has keys that are no cells of a picture, and no heat map")
        self.told = {
            "made_by": "nlviz",
            "model": capture.about.name,
            "weights": capture.about.digest,
            "block": block,
            "head": str(self.head),
            "unit": "multiples of uniform attention",
        }
        sample[f"{self.name}_heads"] = self._heads({block: _row_figures(capture, block, at)})
        best = capture.prediction(1)
        if best:
            label, share = best[0]
            sample[f"{self.name}_label"] = self.fo.Classification(label=label, confidence=share)
        self._maps(sample, path, capture.clip, attention, still=still)

    def _asked(self, capture: Capture, block: str) -> Point:
        if self.query is None:
            return opening_query(capture.clip, capture.affinities[block])[0]
        at = Point(*(self.query(capture.clip) if callable(self.query) else self.query))
        capture.clip.check(**at._asdict())
        return at

    def _maps(
        self, sample: Any, path: Path, clip: Clip, attention: AttentionMap, *, still: bool
    ) -> None:
        numbers = [1] if still else _film_numbers(path, clip)
        top = scale_of(attention).hi / attention.uniform
        low = -top if attention.signed and float(attention.weights.min()) < 0 else 0.0
        query = attention.query
        own = min(max(round(query[0]), 0), len(clip.frames) - 1)
        _, height, width = clip.shape
        point = [[(query[2] + 0.5) / width, (query[1] + 0.5) / height]]
        keypoints = self.fo.Keypoints(keypoints=[self.fo.Keypoint(label="query", points=point)])
        if not still:  # of an earlier call, on frames that are not sampled now
            for old in sample.frames.values():
                for kind in (self.name, f"{self.name}_query"):
                    if old.has_field(kind):
                        old[kind] = None
        for index, plane in enumerate(key_planes(attention.keys, len(clip.frames))):
            owner = sample if still else sample.frames[numbers[index]]
            if plane >= 0:
                values = laid_on(attention.weights[plane], clip.frames[index], attention.keys)
                owner[self.name] = self.fo.Heatmap(
                    map=(np.nan_to_num(values) / attention.uniform).astype(np.float32),
                    range=[low, top],
                    uniform=float(attention.uniform),
                    sampled_frame=index,
                )
            if index == own:
                owner[f"{self.name}_query"] = keypoints

    def describe(self, dataset: Any) -> None:
        for path in (self.name, f"{self.name}_query", f"{self.name}_heads", f"{self.name}_label"):
            for place in (path, f"frames.{path}"):
                if place == path or dataset.media_type == "video":
                    self._info(dataset, place, self.told)


def _film_numbers(path: Path, clip: Clip) -> list[int]:
    """Return the number of each sampled frame in its film, from 1."""
    times = np.asarray(frame_times(path))
    found = np.abs(times[None] - clip.times[:, None]).argmin(1)
    return [int(n) + 1 for n in found]


def _row_figures(capture: Capture, block: str, at: Point) -> dict[str, Any]:
    """Return figures of the query's row in every head of a block, and the block's receipt."""
    affinity, found = capture.affinities[block], dict[str, Any]()
    for head in range(affinity.heads):
        row = affinity.map(frame=at.frame, y=at.y, x=at.x, head=head)
        told = row_statistics(row, capture.clip.times)
        best = row.top(1, without=row.own_keys)
        found[f"head_{head:02d}"] = {
            "effective": told.effective,
            "own_frame": told.own_frame,
            "pixels": told.pixels,
            "seconds": told.seconds,
            "strongest": best[0].multiple if best else None,
        }
    receipt = capture.receipts.get(block)
    if receipt is not None:
        found["receipt"] = receipt.error
    return found


def _plain(block: str) -> str:
    """Return the name of a block as one that a field can have."""
    plain = "".join(c if c.isalnum() and c.isascii() else "_" for c in block).strip("_")
    return plain if plain[:1].isalpha() else f"block_{plain}"
