"""A survey as the app offers it: who was looked at, and each clip again as it was looked at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlviz.errors import NlvizError
from nlviz.surveys.item import Item, Kind
from nlviz.surveys.listing.content import content_of
from nlviz.surveys.listing.paths import is_remote, path_of_uri
from nlviz.surveys.listing.reading import read_item
from nlviz.surveys.listing.tars import holder_and_member

if TYPE_CHECKING:
    from nlviz.clips.clip import Clip
    from nlviz.families.reading.input_spec import InputSpec
    from nlviz.surveys.survey import Survey

_PATTERN = frozenset("*?[#%")


class OfferedSurvey:
    """The clips of a survey by the digest of their bytes; no other file can be named.

    Args:
        survey: as ``nlviz.read_survey`` opened it.

    Attributes:
        name: of the survey.
        model: name of its network, as ``nlviz.load_model`` takes it.
        load: how the network was loaded: family, autocast, flags.
        clips: name of each clip that was done, by digest.
    """

    def __init__(self, survey: Survey) -> None:
        self.name, self.model = survey.name, survey.model
        self.load: Mapping[str, Any] = survey.load
        self._sampling = survey.options.sampling
        table = survey.clips.to_table(["uri", "name", "label", "status", "digest"])
        self._items: dict[str, Item] = {}
        for line in table.to_pylist():
            if line["status"] == "done" and line["digest"]:
                uri = line["uri"]
                self._items[line["digest"]] = Item(uri, kind_of(uri), line["name"], line["label"])
        self.clips = {digest: item.name for digest, item in self._items.items()}

    def read(self, digest: str, spec: InputSpec | None) -> Clip:
        """Return a clip with the frames that the survey looked at.

        Args:
            digest: of its bytes.
            spec: how the network takes a clip, ``Model.input_spec``.

        Raises:
            NlvizError: when it is gone, cannot be read, or has other bytes than back then.
        """
        item = self._item(digest)
        clip = read_item(item, self._sampling, spec)
        if clip.digest != digest:
            raise NlvizError(
                f"{item.name} is another clip than the survey {self.name} looked at: its sha256 "
                f"was {digest[:12]}... and is {clip.digest[:12]}... now; survey it again"
            )
        return clip

    def source(self, digest: str) -> Path | bytes | None:
        """Return where a clip's bytes are: its path, or the bytes of one inside a tar or far away.

        Raises:
            NlvizError: when it is gone or cannot be read.
        """
        with content_of(self._item(digest)) as content:
            if isinstance(content, bytes):
                return content
            # What was copied for as long as it is open is no source.
            return content if isinstance(content, Path) and not self._copied(digest) else None

    def _copied(self, digest: str) -> bool:
        return self._items[digest].kind in ("member", "remote")

    def _item(self, digest: str) -> Item:
        if digest not in self._items:
            raise NlvizError(f"the survey {self.name} has no clip of the digest {digest[:12]}")
        return self._items[digest]


def kind_of(uri: str) -> Kind:
    """Return what a clip of a survey is, by what it is known by.

    >>> kind_of("/data/a.tar#b.mp4"), kind_of("s3://films/a.mp4"), kind_of("/films/a.mp4")
    ('member', 'remote', 'file')
    """
    if is_remote(uri):
        if holder_and_member(uri)[1]:
            return "member"
        return "frames" if uri.endswith("/") or _PATTERN & set(Path(uri).name) else "remote"
    path = path_of_uri(uri)
    if path.is_file():
        return "file"
    if holder_and_member(uri)[1]:
        return "member"
    return "frames" if path.is_dir() or _PATTERN & set(path.name) else "file"
