"""Lists of clips, one a line: a path, or a path and its label.

As Kinetics and SlowFast have them (``path label``), with commas (``path,label``), as TSN has
folders of frames (``folder frames label``), or paths alone. Spaces in names are kept: a label
stands behind the ending of a film, or is a number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from nlviz.clips.sequences import PICTURE_ENDINGS
from nlviz.surveys.item import Item
from nlviz.surveys.listing.columns import IDS, PATHS, plain
from nlviz.surveys.listing.kinds import FILM_ENDINGS, name_kind
from nlviz.surveys.listing.places import Places
from nlviz.surveys.listing.rules import LeftOut

_ENDINGS = "|".join(sorted(FILM_ENDINGS | PICTURE_ENDINGS | {"tar"}, key=len, reverse=True))
# The last ending that something follows; what follows is the label.
_FILM = re.compile(rf"(.*\.(?:{_ENDINGS}))(?:\s*[,;\t]\s*|\s+)(.*)", re.IGNORECASE)
_WHOLE = re.compile(rf".*\.(?:{_ENDINGS})", re.IGNORECASE)
# In quotes, as in the lists that FFmpeg joins, too.
_QUOTED = re.compile(r"(?:file\s+)?([\"'])(.+?)\1(?:\s*[,;\t]?\s*(.*))?")
_FRAMES = re.compile(r"(.*?)[\s,;]+(\d+)[\s,;]+(-?\d+)")  # of TSN: folder, frames, label
_SPACES = re.compile(r"[\s,;]+")
_NUMBER = re.compile(r"(.*?)(?:\s*[,;\t]\s*|\s+)(-?\d+)")
_PARTED = re.compile(r"(.*?)\s*[,;\t]\s*(.*)")


def path_and_label(line: str) -> tuple[str, str]:
    """Return the path and the label of a line; the label is empty where there is none.

    >>> path_and_label("my films/a clip.MP4 12"), path_and_label("a.mp4,make up")
    (('my films/a clip.MP4', '12'), ('a.mp4', 'make up'))
    >>> path_and_label("frames/v_1 120 3"), path_and_label('"a.mp4" 7'), path_and_label("a b.mp4")
    (('frames/v_1', '3'), ('a.mp4', '7'), ('a b.mp4', ''))
    """
    line = line.strip()
    quoted = _QUOTED.fullmatch(line)
    if quoted:
        return quoted[2], (quoted[3] or "").strip()
    if _WHOLE.fullmatch(line):
        return line, ""
    film = _FILM.fullmatch(line)
    if film:
        return film[1], film[2].strip().strip('"')
    frames = _FRAMES.fullmatch(line)
    if frames:
        return frames[1], frames[3]
    parted = _NUMBER.fullmatch(line) or _PARTED.fullmatch(line)
    return (parted[1], parted[2].strip()) if parted else (line, "")


def listed_in(lines: Iterable[str], places: Places, left: LeftOut, labels: bool) -> Iterator[Item]:
    """Yield the clips of a list; lines that are empty or begin with ``#`` are comments."""
    first = True
    for line in lines:
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        path, label = path_and_label(line)
        word = _SPACES.split(line)[0]
        is_head = first and plain(word) in (*PATHS, *IDS) and name_kind(path) == "other"
        first = False
        if is_head and not places.is_there(word):
            left.counts["header of a list"] += 1
            continue
        if not path:
            left.counts["line without a path"] += 1
            continue
        yield places.item(path, label if labels else "")
