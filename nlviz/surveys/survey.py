"""Surveys: what every head of a network does over many clips, and the tables that say it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nlviz.progress import Listener, Progress
from nlviz.sentences import counted
from nlviz.surveys.options import SurveyOptions
from nlviz.surveys.store import SurveyFolder

if TYPE_CHECKING:
    import pyarrow as pa
    from torch import nn

    from nlviz.captures.model import Model
    from nlviz.clips.clip import Clip
    from nlviz.surveys.engines.engine import Engine
    from nlviz.surveys.item import Item
    from nlviz.surveys.report.survey_report import SurveyReport
    from nlviz.surveys.tables import Snapshot, SurveyTable


class Survey:
    """What a survey's folder held when it was opened: three tables, read when they are asked.

    A run may still write to the folder; ``nlviz.read_survey`` then opens a later state.

    Attributes:
        folder: where it lies.
        model: name of the network.
        weights: digest of its weights.
        load: how it was loaded: family, autocast, flags.
        options: what was asked of every clip.
        blocks: that were looked at, in forward order.

    >>> import tempfile, nlviz
    >>> asked = {"queries": 4, "size": 64, "without": ("nl_means", "position")}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = nlviz.survey("coffee.jpg", out=folder, engine="inline", **asked)
    ...     found.clips.to_table(["name", "status"]).to_pylist()
    [{'name': 'coffee.jpg', 'status': 'done'}]
    """

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        contents = snapshot.contents
        self.folder: Path = snapshot.folder.path
        self.model: str = contents.model
        self.weights: str = contents.weights
        self.load: dict[str, Any] = dict(contents.load)
        self.options: SurveyOptions = contents.options
        self.blocks: tuple[str, ...] = contents.blocks

    @property
    def name(self) -> str:
        """What people call it: the name of its folder."""
        return self.folder.absolute().name

    @property
    def rows(self) -> SurveyTable:
        """One line for each clip, block, head and sampled query; see ``nlviz.surveys.schema``."""
        return self._snapshot.table("rows")

    @property
    def clips(self) -> SurveyTable:
        """One line for each clip: done, the same as another, or failed and why."""
        return self._snapshot.table("clips")

    @property
    def runs(self) -> pa.Table:
        """One line for each run: when, with which versions, on what."""
        return self._snapshot.runs()

    @cached_property
    def counts(self) -> dict[str, int]:
        """How many clips there are of each status: ``done``, ``same``, ``failed``."""
        status = Counter(self.clips.to_table(["status"])["status"].to_pylist())
        return {name: status.get(name, 0) for name in ("done", "same", "failed")}

    def report(self, *, seed: int = 0) -> SurveyReport:
        """Return what every head does, with intervals over clips.

        Args:
            seed: of the draws that intervals rest on.

        Raises:
            NlvizError: when no clip is done.
        """
        from nlviz.surveys.report.survey_report import SurveyReport

        rows, clips = self.rows.dataset, self.clips.dataset
        return SurveyReport.of(rows, clips, self.runs, name=self.name, seed=seed)

    def __repr__(self) -> str:
        counts = self.counts
        same = f", {counts['same']:,} the same as another" if counts["same"] else ""
        failed = f", {counts['failed']:,} failed" if counts["failed"] else ""
        return (
            f"Survey({self.name!r} of {self.model}: {counted(counts['done'], 'clip')}{same}"
            f"{failed}; {counted(len(self.rows), 'row')})"
        )


def read_survey(folder: str | Path) -> Survey:
    """Open the survey in a folder, also while a run writes to it.

    Args:
        folder: that ``nlviz.survey`` or ``nlviz survey -o`` wrote.

    Raises:
        NlvizError: when there is none, or it is of another version.

    >>> read_survey("nowhere")
    Traceback (most recent call last):
    nlviz.errors.NlvizError: 'nowhere' holds no survey; name the folder of `nlviz survey ... -o DIR`
    """
    from nlviz.surveys.tables import Snapshot

    return Survey(Snapshot.of(SurveyFolder(Path(folder))))


def survey(
    clips: str | Path | Item | Clip | Sequence[str | Path | Item | Clip],
    *,
    out: str | Path,
    model: str | Path | Model | nn.Module = "lite-nl",
    blocks: Sequence[str] = (),
    queries: int = 32,
    engine: Literal["local", "ray", "inline"] | Engine = "local",
    workers: int | None = None,
    address: str | None = None,
    limit: int | None = None,
    sample: int | None = None,
    seed: int = 0,
    resume: bool = False,
    without: Sequence[str] = (),
    knock_out: bool = False,
    bypass: bool = False,
    start: float = 0.0,
    stride: int | None = None,
    frames: int | None = None,
    size: int | None = None,
    fps: float | None = None,
    rate: float | None = None,
    labels: Literal["auto", "folder", "none"] = "auto",
    label_column: str | None = None,
    path_column: str | None = None,
    pictures: Literal["auto", "frames", "each"] = "auto",
    root: str | Path | None = None,
    device: str | None = None,
    family: str | None = None,
    autocast: str | None = None,
    flags: dict[str, Any] | None = None,
    progress: Listener | None = None,
) -> Survey:
    """Look at many clips with a network: what each head does with each, in three tables.

    Each clip leaves its rows on the disk as soon as it is done. A run that ended, however it did,
    goes on with ``resume=True``, and at most one clip per worker is done again. A clip that cannot
    be done stands in the table of clips with the reason; the others go on.

    Args:
        clips: films, pictures, folders, patterns, lists, tables, tars, or ``Clip`` objects.
        out: folder of the survey, new or empty.
        model: a name as ``nlviz.load_model`` takes it, or a network, which runs in this process.
        blocks: names of the blocks that are looked at; all by default.
        queries: places that are asked about in each clip.
        engine: ``local`` for processes of this machine, ``ray``, or ``inline`` for this process.
        workers: how many processes; by default as many as the machine has room for.
        address: of a Ray cluster.
        limit: how many clips at most, the first ones.
        sample: how many clips are drawn.
        seed: of all that is drawn.
        resume: go on with the survey in the folder.
        without: names of figures that are left out, see ``nlviz.surveys.figures``.
        knock_out: cut links, too: passes for each query.
        bypass: leave each block out once, too: a pass for each.
        start: seconds to skip.
        stride: take every stride-th frame.
        frames: how many frames; by default as the network was trained.
        size: shorter side in pixels.
        fps: frames per second of pictures that say none.
        rate: frames per second that ``stride`` speaks of.
        labels: of clips in folders, see ``nlviz survey --help``.
        label_column: name of the column with labels of a table.
        path_column: of the column with paths.
        pictures: whether pictures of a folder are ``frames`` of one clip, or ``each`` is a clip.
        root: folder that paths in lists and tables are relative to.
        device: of a model by its name.
        family: likewise.
        autocast: likewise.
        flags: likewise, further keyword arguments of ``nlviz.load_model``.
        progress: called with a sentence and a share in [0, 1].

    Raises:
        NlvizError: when a clip or the network is not there, the folder holds another survey, or the
            disk is full.

    >>> import tempfile
    >>> asked = {"queries": 4, "size": 64, "without": ("nl_means", "position")}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     found = survey(["coffee.jpg", "cat.jpg"], out=folder, engine="inline", **asked)
    ...     found.counts, len(found.rows)
    ({'done': 2, 'same': 0, 'failed': 0}, 16)
    """
    from nlviz.surveys.options import Sampling
    from nlviz.surveys.start import Request, started

    options = SurveyOptions(
        blocks=tuple(blocks),
        queries=queries,
        seed=seed,
        sampling=Sampling(start, stride, frames, size, fps, rate),
        without=tuple(without),
        knock_out=knock_out,
        bypass=bypass,
    )
    how = {
        "labels": labels,
        "label_column": label_column,
        "path_column": path_column,
        "pictures": pictures,
        "root": root,
    }
    request = Request(
        clips=clips,
        model=model,
        options=options,
        folder=Path(out),
        engine=engine,
        workers=workers,
        address=address,
        limit=limit,
        sample=sample,
        resume=resume,
        listing=how,
        load={"device": device, "family": family, "autocast": autocast, **(flags or {})},
    )
    tell = Progress.of(progress)
    started(request, lambda tally: tell(tally.sentence, tally.share))
    return read_survey(out)
