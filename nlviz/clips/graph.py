"""Graphs as inputs: nodes with features and edges, drawn in a plane of their own.

A graph is a clip of one blank frame, the drawing plane, in which every node has a place. So points,
addresses and view files work as they do for pictures: a point means the nearest node.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from msgspec import Meta

from nlviz.clips.clip import Clip
from nlviz.clips.graph_layout import laid_out
from nlviz.errors import UnreadableClip
from nlviz.files.checked_json import Finite, Record, checked, parsed_json
from nlviz.files.local import digest_of

PLANE = (540, 720)  # height and width of the drawing plane, in pixels
BORDER = 0.08  # of the plane's height, kept free around the nodes
MOST_NODES = 4096
_CURE = "a graph is {nodes: [names], edges: [[source, target], ...], features: [[numbers], ...]}"


@dataclass(frozen=True, eq=False, repr=False)
class Graph(Clip):
    """Nodes with features and edges; the clip's one frame is the plane in which they are drawn.

    Attributes:
        names: of the nodes.
        edges: (2, E) source and target of every edge; in attention the target looks at the source.
        features: (n, channels) float32 of the nodes.
        places: (n, 2) places (y, x) of the nodes in pixels of the plane.

    >>> graph = Graph.of([[0, 1], [1, 2]], features=[[0.5], [1.0], [2.0]], names=["a", "b", "c"])
    >>> graph
    Graph('graph', 3 nodes, 2 edges, 1 number each)
    """

    names: tuple[str, ...] = ()
    edges: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, 0), np.int64))
    features: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    places: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 2)))

    def __post_init__(self) -> None:
        super().__post_init__()
        n = len(self.names)
        for name, array in (("features", self.features), ("places", self.places)):
            if len(array) != n or not np.isfinite(array).all():
                raise UnreadableClip(
                    f"a graph's {name} are finite numbers, one row for each of {n} nodes; got "
                    f"{len(array)} rows" + ("" if len(array) != n else ", some not finite")
                )
        for name in ("edges", "features", "places"):
            array = getattr(self, name).view()
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @classmethod
    def of(
        cls,
        edges: npt.ArrayLike,
        *,
        features: npt.ArrayLike | None = None,
        names: Sequence[str] | None = None,
        places: npt.ArrayLike | None = None,
        nodes: int | None = None,
        name: str = "graph",
        digest: str = "",
    ) -> Graph:
        """Make a graph of what is in memory.

        Args:
            edges: (E, 2) pairs of source and target, numbered from 0.
            features: (n, channels) of the nodes; without them each has the number 1.
            names: of the nodes; their numbers by default.
            places: (n, 2) places (y, x) in any unit, scaled to the plane with their aspect kept;
                without them a layout is made in which neighbours lie close.
            nodes: how many there are, where neither features nor names tell.
            name: what to call the graph.
            digest: of its file; of what it holds by default.

        Raises:
            UnreadableClip: when these do not fit together.

        >>> Graph.of([[0, 1]], places=[[0, 0], [0, 2]]).places.round().tolist()
        [[270.0, 43.0], [270.0, 676.0]]
        """
        pairs = np.asarray(edges, np.int64).reshape(-1, 2)
        told = [len(x) for x in (features, names, places) if x is not None]  # type: ignore[arg-type]
        n = nodes or max(told, default=int(pairs.max()) + 1 if pairs.size else 0)
        if not 1 <= n <= MOST_NODES:
            raise UnreadableClip(f"a graph has 1 to {MOST_NODES} nodes, got {n}")
        if pairs.size and not (0 <= pairs.min() and pairs.max() < n):
            raise UnreadableClip(
                f"an edge joins two of {n} nodes, numbered from 0; got {int(pairs.min())} to "
                f"{int(pairs.max())}"
            )
        x = np.ones((n, 1), np.float32) if features is None else np.asarray(features, np.float32)
        if x.ndim != 2:
            raise UnreadableClip(f"a graph's features are (nodes, channels), got {x.shape}")
        if names is not None and len(names) != n:
            raise UnreadableClip(f"a graph of {n} nodes has as many names, got {len(names)}")
        if places is None:
            at = laid_out(n, pairs.T)
        else:
            at = np.asarray(places, np.float64)
            if at.shape != (n, 2) or not np.isfinite(at).all():
                raise UnreadableClip(f"places are {n} pairs of finite y and x, got {at.shape}")
        labels = tuple(map(str, range(n) if names is None else names))
        told_all = json.dumps([labels, pairs.tolist(), x.tolist(), at.round(6).tolist()])
        frame = np.full((1, *PLANE, 3), 255, np.uint8)
        own = digest or digest_of(told_all.encode())
        at = _in_plane(at)
        return cls(
            frame, np.zeros(1), name, own, names=labels, edges=pairs.T, features=x, places=at
        )

    @property
    def size(self) -> int:
        """Number of nodes."""
        return len(self.names)

    def __repr__(self) -> str:
        each = self.features.shape[1]
        return (
            f"Graph({self.name!r}, {self.size} nodes, {self.edges.shape[1]} edges, "
            f"{each} number{'s' if each != 1 else ''} each)"
        )


Row = list[Finite]
End = Annotated[int, Meta(ge=0, lt=MOST_NODES)] | str


class _File(Record):
    """A graph in a file."""

    edges: list[tuple[End, End]]
    nodes: list[str] | Annotated[int, Meta(ge=1, le=MOST_NODES)] | None = None
    features: list[Row] | None = None
    places: list[tuple[Finite, Finite]] | None = None
    directed: bool = True


def read_graph(source: str | Path | bytes | Mapping[str, Any], *, name: str | None = None) -> Graph:
    """Read a graph from JSON: nodes, edges, features and, where there are any, places.

    ``{"nodes": ["a", "b"], "edges": [["a", "b"]], "features": [[0.5], [1.0]]}``. Nodes are names or
    how many there are; an edge is a source and a target by name or number, and in attention the
    target looks at the source. ``"directed": false`` lets every edge run both ways. ``"places"``
    are (y, x) in any unit; without them a layout is made.

    Args:
        source: a file, its bytes, or what JSON gives.
        name: what to call it; the file's name by default.

    Raises:
        UnreadableClip: when it is no such graph.

    >>> read_graph({"nodes": ["a", "b"], "edges": [["a", "b"]], "directed": False}).edges
    array([[0, 1],
           [1, 0]])
    """
    digest = ""
    if isinstance(source, Mapping):
        label, told = name or "graph", dict(source)
    else:
        if isinstance(source, bytes):
            label, content = name or "upload", source
        else:
            label = name or Path(source).name
            try:
                content = Path(source).read_bytes()
            except OSError as error:
                raise UnreadableClip(
                    f"the graph {str(source)!r} cannot be read ({error.strerror}); give the path "
                    "of a file"
                ) from None
        digest = digest_of(content)
        try:
            told = parsed_json(content, of=label)
        except UnreadableClip:
            raise
        except Exception as error:
            raise UnreadableClip(f"{error}; {_CURE}") from None
    found = checked(told, _File, of=f"the graph {label}'s", cure=_CURE, error=UnreadableClip)
    names = found.nodes if isinstance(found.nodes, list) else None
    pairs = [(_end(a, names, label), _end(b, names, label)) for a, b in found.edges]
    if not found.directed:
        pairs += [(b, a) for a, b in pairs if a != b]
    widths = {len(row) for row in found.features or ()}
    if len(widths) > 1:
        raise UnreadableClip(
            f"all nodes of {label} must have as many features, got {min(widths)} to {max(widths)}"
        )
    return Graph.of(
        np.array(pairs, np.int64).reshape(-1, 2),
        features=None if found.features is None else np.array(found.features, np.float32),
        names=names,
        places=found.places,
        nodes=found.nodes if isinstance(found.nodes, int) else None,
        name=label,
        digest=digest,
    )


def is_graph(path: str | Path | bytes) -> bool:
    """Return whether a file, or what it holds, is a graph: JSON with edges.

    >>> is_graph(b'{"edges": [[0, 1]]}'), is_graph(b'{"view": 1}')
    (True, False)
    """
    if isinstance(path, bytes):
        content = path
    else:
        file = Path(path)
        if file.suffix.lower() != ".json" or not file.is_file():
            return False
        content = file.read_bytes()
    if not content.lstrip()[:1] == b"{":
        return False
    try:
        told = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and "edges" in told


def _end(given: int | str, names: list[str] | None, label: str) -> int:
    if isinstance(given, int):
        return given
    found = [i for i, own in enumerate(names or ()) if own == given]
    if len(found) != 1:
        why = "several nodes have" if found else "no node has"
        raise UnreadableClip(
            f"an edge of {label} ends at {given!r}, a name that {why}; say the node's number"
        )
    return found[0]


def _in_plane(places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return places scaled into the drawing plane, their aspect kept, centred."""
    height, wide = PLANE
    edge = BORDER * height
    low, high = places.min(0), places.max(0)
    room = np.array([height - 1 - 2 * edge, wide - 1 - 2 * edge])
    zoom = min((room / np.maximum(high - low, 1e-9)).min(), 1e6)
    middle = np.array([height - 1, wide - 1]) / 2
    scaled: npt.NDArray[np.float64] = (places - (low + high) / 2) * zoom + middle
    return scaled
