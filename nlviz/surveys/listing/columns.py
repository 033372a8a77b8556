"""Which column of a table holds paths, which labels, by the names that people give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nlviz.errors import NlvizError, did_you_mean
from nlviz.sentences import listed
from nlviz.surveys.listing.kinds import name_kind

# Best first; a column is looked for whatever its case, and with signs between words or without.
PATHS = (
    "path file filename filepath videopath videofile videofilename videofilepath clippath clipfile "
    "filenames paths files relpath relativepath video clip uri url videourl framesfolder "
    "framepath frames videoname clipname"
).split()
LABELS = (
    "label class action category classname labelname actionname actionlabel actionclass activity "
    "template target labels classes verb labelid classid actionid classindex labelindex y"
).split()
IDS = "youtubeid videoid clipid ytid id vid".split()
START, END, SPLIT = (
    ("timestart", "start", "tstart"),
    ("timeend", "end", "tend"),
    ("split", "subset"),
)


@dataclass(frozen=True)
class Columns:
    """Where a table says what; None where it does not.

    Attributes:
        names: of all columns.
        path: the column with paths, or with ids that names of files are made of.
        label: the column with labels.
        is_id: whether ``path`` holds ids.
        start, end: whole seconds that stand in the names of files, as Kinetics has them.
        split: the folder of a part of the data set.
    """

    names: tuple[str, ...]
    path: str
    label: str | None = None
    is_id: bool = False
    start: str | None = None
    end: str | None = None
    split: str | None = None

    @property
    def wanted(self) -> list[str]:
        """Columns that are read, each once."""
        named = (self.path, self.label, self.start, self.end, self.split)
        return list(dict.fromkeys(name for name in named if name is not None))


def plain(name: str) -> str:
    """Return a name without case and signs, as columns are compared.

    >>> plain("\ufeff Video_Path "), plain("youtube-id")
    ('videopath', 'youtubeid')
    """
    return "".join(c for c in name.casefold() if c.isalnum())


def columns_of(
    table: str, names: Sequence[str], path: str | None = None, label: str | None = None
) -> Columns:
    """Return the columns of a table that say where clips are and what they are.

    Args:
        table: what to call it.
        names: of its columns.
        path: the user's name for the column with paths.
        label: the same of labels; ``none`` for none.

    Raises:
        NlvizError: when there is no such column; it names those that there are.

    >>> found = columns_of("a.csv", ["Label", "youtube_id", "time_start", "time_end", "split"])
    >>> found.path, found.label, found.is_id, found.start
    ('youtube_id', 'Label', True, 'time_start')
    """
    by_name = {plain(name): name for name in reversed(names)}
    said = f"its columns are {listed(names, 'and')}" if names else "it has no column"
    is_id = False
    if path is not None:
        found = _own(table, "path", path, names, by_name)
        is_id = plain(found) in IDS
    else:
        one = _first(PATHS, by_name)
        is_id = one is None
        one = one or _first([*IDS, "name"], by_name)
        if one is None:
            raise NlvizError(
                f"no column of {table} says where the clips are, as one called path, file or video "
                f"would; {said}: name one as the path column"
            )
        found = one
    own: str | None = None
    if label is None:
        own = _first([n for n in LABELS if by_name.get(n) != found], by_name)
        if own is not None and plain(own) == "label" and "template" in by_name:
            own = by_name["template"]  # of Something-Something, whose label is a caption
    elif label != "none":
        own = _own(table, "label", label, names, by_name)
    if not is_id:
        return Columns(tuple(names), found, own)
    start, end, split = (_first(each, by_name) for each in (START, END, SPLIT))
    return Columns(tuple(names), found, own, True, start, end, split)


def headless(cells: Sequence[str]) -> tuple[str, str | None] | None:
    """Return the columns of path and label of a table without a header, as ``1``, ``2``...

    None where the first row is a header: where none of its cells is the path of a clip.

    >>> headless(["videos/a.mp4", "12"]), headless(["path", "label"])
    (('1', '2'), None)
    """
    clips = [i for i, cell in enumerate(cells) if name_kind(cell.strip()) in ("film", "picture")]
    if not clips:
        return None
    others = [i for i in range(len(cells)) if i != clips[0]]
    # Of many columns none is known to be the label.
    return str(clips[0] + 1), str(others[0] + 1) if len(others) == 1 else None


def _first(wanted: Sequence[str], by_name: Mapping[str, str]) -> str | None:
    return next((by_name[name] for name in wanted if name in by_name), None)


def _own(
    table: str, what: str, asked: str, names: Sequence[str], by_name: Mapping[str, str]
) -> str:
    if asked in names:
        return asked
    if plain(asked) in by_name:
        return by_name[plain(asked)]
    raise NlvizError(
        f"{table} has no column {asked!r} with the {what} of each clip{did_you_mean(asked, names)}"
    )
