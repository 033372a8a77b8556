"""Gates: one number for a whole channel, or for a place, which no place gives another anything by.

Squeeze-and-excitation (Hu et al. 2018, arXiv 1709.01507) scales channels by numbers made of the
whole picture; a spatial gate (Woo et al. 2018, arXiv 1807.06521) scales places. None sums places.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor

from nlviz.networks.followed import Placed
from nlviz.networks.followed_axes import one_row

Kind = Literal["channels", "places"]
_TIMES = frozenset("mul imul rmul multiply".split())
_LEAST = 4  # numbers that one number scales
_SAID: dict[Kind, str] = {
    "channels": "scales whole channels by one number each, as squeeze-and-excitation does: it sums "
    "no places, so it has no map",
    "places": "scales each place by one number of its own: no place is made of others, so it has "
    "no rows",
}


def gate_of(name: str, args: tuple[Any, ...]) -> Kind | None:
    """Return what a multiplication gates, on positions; None where it is no gate.

    Args:
        name: of the operation.
        args: of it, in order.
    """
    if name not in _TIMES or len(args) < 2 or not all(isinstance(x, Placed) for x in args[:2]):
        return None
    gate, x = sorted(args[:2], key=lambda one: one.numel())
    if gate.dim() != x.dim() or x.dim() < 3 or gate.of_pairs or x.of_pairs:
        return None
    sizes = list(zip(gate.shape, x.shape, strict=True))
    own = [d for d, (a, b) in enumerate(sizes) if d and a == b > 1]
    if not own or any(a not in (1, b) for a, b in sizes) or x.numel() < _LEAST * gate.numel():
        return None
    plain = gate.as_subclass(Tensor)
    return "channels" if all(one_row(plain, d) for d in own) else "places"


def said_of_gates(gates: Mapping[str, Kind]) -> list[str]:
    """Return a sentence for each kind of gates.

    >>> said_of_gates({"layer1.se": "channels", "layer2.se": "channels"})[0][:40]
    'layer1.se, as 1 more layer, scales whole'
    """
    found = []
    for kind, said in _SAID.items():
        names = [name or "network" for name, own in gates.items() if own == kind]
        more = len(names) - 1
        if names:
            beside = f", as {more} more layer{'s' if more > 1 else ''}," if more else ""
            found.append(f"{names[0]}{beside} {said}.")
    return found
