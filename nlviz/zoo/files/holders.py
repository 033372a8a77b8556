"""Where a file keeps weights: every mapping of names to tensors, and the one that is taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from nlviz.zoo.files.claims import ArrayClaim, Inert, TensorClaim

WRAPPERS = (
    "state_dict",
    "model_state",
    "model_state_dict",
    "model",
    "net",
    "blobs",
    "teacher",
    "student",
    "params",
    "module",
)
"""Entries under which training code keeps weights, in the order in which they are taken."""

_DEEPEST = 4  # entries within entries in which weights are looked for
_MODULES = 64  # modules within modules
_MOST_HOLDERS = 256
_NO_NETWORK = ("optim", "lr_sched", "scheduler", "scaler", "rng")
_AVERAGED = ("ema", "averag", "swa", "shadow", "momentum")


@dataclass(frozen=True, eq=False)
class Holder:
    """One mapping of names to tensors in a file.

    Attributes:
        path: the entries that lead to it, joined by dots; empty for the file's own top level.
        entries: what it holds, by key.
    """

    path: str
    entries: Mapping[object, object]

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of its tensors."""
        return tuple(
            str(key)
            for key, value in self.entries.items()
            if isinstance(value, TensorClaim | ArrayClaim)
        )


def holders(root: object) -> list[Holder]:
    """Return every mapping of names to tensors, the one that is taken by default first.

    The weights proper come before a running average of them, and what an optimiser keeps is left
    out.

    >>> from nlviz.zoo.files.claims import ArrayClaim
    >>> file = {"ema": {"a.bias": ArrayClaim()}, "state_dict": {"a.bias": ArrayClaim()}}
    >>> [holder.path for holder in holders(file)]
    ['state_dict', 'ema']
    """
    found = []
    for path, entries in _walk(root, "", _DEEPEST):
        if any(isinstance(value, TensorClaim | ArrayClaim) for value in entries.values()):
            found.append(Holder(path, entries))
        if len(found) == _MOST_HOLDERS:
            break
    return sorted(found, key=lambda holder: _rank(holder.path))  # sorted() keeps the file's order


def _rank(path: str) -> tuple[int, int, int]:
    """Return how late a holder is taken: unknown names last, averages behind what they average."""
    parts = path.split(".") if path else []
    known = [WRAPPERS.index(part) if part in WRAPPERS else len(WRAPPERS) for part in parts]
    averaged = any(word in part.lower() for part in parts for word in _AVERAGED)
    # The file's own level comes behind entries with a known name, which some files mix it with.
    first = known[0] if known else len(WRAPPERS) - 0.5
    return (int(averaged), int(2 * first), sum(known[1:]))


def _walk(value: object, path: str, depth: int) -> Iterator[tuple[str, Mapping[object, object]]]:
    entries = mapping_of(value)
    if entries is None:
        return
    yield path, entries
    if depth == 0:
        return
    for key, inside in entries.items():
        name = str(key)
        if isinstance(key, str) and not name.lower().startswith(_NO_NETWORK):
            yield from _walk(inside, f"{path}.{name}" if path else name, depth - 1)


def mapping_of(value: object) -> Mapping[object, object] | None:
    """Return what a mapping holds, or the state_dict of a whole module; None for anything else."""
    if isinstance(value, dict):
        return value
    if isinstance(value, Inert):
        if isinstance(value.state, dict) and "_parameters" in value.state:
            return dict(_of_module(value, "", _MODULES))
        if value.items:
            return value.items
    return None


def _of_module(module: object, prefix: str, depth: int) -> Iterator[tuple[str, object]]:
    """List parameters and buffers of a pickled ``torch.nn.Module`` as its state_dict would."""
    state = module.state if isinstance(module, Inert) else None
    if not isinstance(state, dict) or depth == 0:
        return
    fleeting = state.get("_non_persistent_buffers_set")
    for kind in ("_parameters", "_buffers"):
        held = state.get(kind)
        for name, value in held.items() if isinstance(held, dict) else ():
            if not (isinstance(fleeting, set | frozenset | list) and name in fleeting):
                yield f"{prefix}{name}", value
    inside = state.get("_modules")
    for name, child in inside.items() if isinstance(inside, dict) else ():
        yield from _of_module(child, f"{prefix}{name}.", depth - 1)
