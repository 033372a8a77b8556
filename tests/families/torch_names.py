"""Random residual networks under any family's names, and what they compute from these names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlviz.zoo.files import Checkpoint
from tests.families.references import Block, Net, Places, Weights, is_last, normalised, shapes_of

State = dict[str, Tensor]
NORM = ("weight", "bias", "running_mean", "running_var")


@dataclass(frozen=True)
class Names:
    """How a family calls its tensors, written out by the family's test.

    Attributes:
        conv: part (``stem``, ``4.5.a``, ``4.0.shortcut``) -> key of the kernel.
        norm: part -> key of the normalisation, without its last name.
        head: key of the classifier, without its last name.
        block: place -> key of a block, with the dot behind it.
        parts: theta, phi, g, out, bn -> what stands behind that.
        bias: which of theta, phi, g and out have a bias.
    """

    conv: Callable[[str], str]
    norm: Callable[[str], str]
    head: str
    block: Callable[[tuple[int, int]], str]
    parts: Mapping[str, str]
    bias: tuple[str, ...] = ("theta", "phi", "g", "out")


def state_of(
    names: Names,
    *,
    places: Places,
    temporal: Mapping[int, tuple[int, ...]] | None = None,
    stem_kernel: int = 1,
    flat: bool = False,
    depth: int = 50,
    mode: str = "embedded_gaussian",
    classes: int = 400,
    seed: int = 0,
) -> State:
    """Return random tensors with a family's names and shapes."""
    make = Weights(seed)
    found: State = {}

    def norm(prefix: str, values: tuple[Tensor, ...]) -> None:
        found.update({f"{prefix}.{e}": v for e, v in zip(NORM, values, strict=True)})
        found[f"{prefix}.num_batches_tracked"] = torch.tensor(7)

    for part, shape in shapes_of(depth, temporal or {}, stem_kernel=stem_kernel, flat=flat).items():
        found[names.conv(part)] = make.kernel(*shape)
        norm(names.norm(part), make.norm(shape[0], last=is_last(part, depth)))
    for place in places:
        c = 512 if place[0] == 3 else 1024
        prefix = names.block(place)
        for name in ("theta", "phi", "g"):
            if mode == "gaussian" and name != "g":
                continue
            size = 1.0 if name == "g" else 0.15  # rows that are neither uniform nor one key alone
            found[f"{prefix}{names.parts[name]}.weight"] = make.linear(c // 2, c, 1, 1, 1) * size
            if name in names.bias:
                found[f"{prefix}{names.parts[name]}.bias"] = make.normal(c // 2, scale=0.1)
        found[f"{prefix}{names.parts['out']}.weight"] = make.linear(c, c // 2, 1, 1, 1)
        if "out" in names.bias:
            found[f"{prefix}{names.parts['out']}.bias"] = make.normal(c, scale=0.1)
        norm(f"{prefix}{names.parts['bn']}", make.norm(c, last=True))
    found[f"{names.head}.weight"] = make.linear(classes, 2048)
    found[f"{names.head}.bias"] = make.normal(classes, scale=0.1)
    return found


def network_of(
    names: Names,
    state: Mapping[str, Tensor],
    *,
    places: Places,
    depth: int = 50,
    block: Mapping[str, Any] | None = None,
    **trunk: Any,
) -> Net:
    """Return the network that the family's code computes, straight from its own names."""

    def pair(prefix: str, part: str) -> tuple[Tensor, Tensor | None] | None:
        key = f"{prefix}{names.parts[part]}"
        weight = state.get(f"{key}.weight")
        return None if weight is None else (weight, state.get(f"{key}.bias"))

    def one(place: tuple[int, int]) -> Block:
        p = names.block(place)
        g, out = pair(p, "g"), pair(p, "out")
        assert g is not None
        assert out is not None
        after = tuple(state[f"{p}{names.parts['bn']}.{e}"] for e in NORM)
        return Block(pair(p, "theta"), pair(p, "phi"), g, out, norm=after, **(block or {}))  # type: ignore[arg-type]

    return Net(
        depth,
        lambda part: state[names.conv(part)],
        lambda x, part: normalised(x, *(state[f"{names.norm(part)}.{e}"] for e in NORM)),
        (state[f"{names.head}.weight"], state[f"{names.head}.bias"]),
        {place: one(place) for place in places},
        **trunk,
    )


def in_memory(state: Mapping[str, Tensor], name: str, wrapper: str = "state_dict") -> Checkpoint:
    return Checkpoint(Path(name), "torch zip", state, wrapper)


def doubled(state: Mapping[str, Tensor]) -> State:
    """Return a state in float64: a whole network's rounding grows with unscaled logits."""
    return {k: v.double() if v.is_floating_point() else v for k, v in state.items()}
