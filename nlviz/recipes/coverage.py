"""The table of what is captured of which architecture, in the documentation.

``python -m nlviz.recipes.coverage`` prints it; with the path of a document it renews the table
there; names of architectures behind that take these alone. Weights are random, tables of position
are not left at zero: a bias that is not seen would show.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nlviz.affinity.base import Affinity
from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.errors import NlvizError
from nlviz.families.reading.attention_adapter import AttentionAdapter
from nlviz.recipes.architectures import Architecture, architectures

BEGIN, END = "<!-- coverage: begin -->", "<!-- coverage: end -->"
HEAD = (
    "model",
    "shown",
    "receipt",
    "against the network's own weights",
    "geometry",
    "bias",
    "a query reaches",
    "not shown",
)
SMALL = 100_000  # numbers of a parameter that gets noise: tables of position, biases, norms
ALL = "All keys."
SHARPER = 5.0  # what makes queries and keys so large that rows are far from even
_QUERIES = re.compile(r"qkv|in_proj|query|key|\bqk?\b|\bk\b|kv|[qk]_proj|to_[qk]")
CENTRED = 0.01  # pixels within which a token's place is exact
BIASES = {
    "KeyBias": "per key",
    "OffsetBias": "per offset",
    "AxisBias": "per axis",
    "PairBias": "per pair",
}


@dataclass(frozen=True)
class Covered:
    """What is captured of an architecture.

    Attributes:
        architecture: which.
        capture: of a clip of noise; None where nothing is shown.
        refused: why blocks are not shown, by name.
        difference: the largest of rows from the network's own weights; None where it gives none.
        compared: how many blocks that was.
    """

    architecture: Architecture
    capture: Capture | None
    refused: dict[str, str]
    difference: float | None = None
    compared: int = 0

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        shown: list[Affinity] = list(self.capture.affinities.values()) if self.capture else []
        receipts = list(self.capture.receipts.values()) if self.capture else []
        largest = max((r.error / r.tolerance for r in receipts), default=None)
        against = "–" if self.difference is None else f"{self.difference:.0e} ({self.compared})"
        return (
            f"`{self.architecture.name}`",
            f"{len(shown)} of {len(shown) + len(self.refused)}",
            "–" if largest is None else f"{largest:.2f} of its limit",
            against,
            _geometry(shown),
            ", ".join(_biases(shown)) or "–",
            " ".join(dict.fromkeys(a.support.sentence(a.keys) or ALL for a in shown)) or "–",
            "; ".join(_reasons(self.refused)) or "–",
        )


def covered(architecture: Architecture) -> Covered:
    """Return what is captured of an architecture, and how far that is from its own weights.

    >>> from nlviz.recipes.architectures import architectures
    >>> found = covered(next(a for a in architectures() if a.name == "vit_tiny_patch16_224"))
    >>> found.cells[1], found.difference < 1e-5
    ('12 of 12', True)
    """
    torch.manual_seed(0)
    net = architecture.build().eval()
    for name, parameter in net.named_parameters():
        if _QUERIES.search(name) and parameter.dim() > 1:
            parameter.data.mul_(SHARPER)
        elif parameter.numel() < SMALL:
            parameter.data.add_(torch.randn_like(parameter) * 0.05)
    assert architecture.spec.sides is not None
    size = (architecture.frames, *architecture.spec.sides, 3)
    clip = Clip.from_frames(np.random.default_rng(0).integers(0, 256, size, np.uint8))
    model = Model(net, adapter=AttentionAdapter(), input_spec=architecture.spec)
    try:
        capture = model.capture(clip)
    except NlvizError as error:
        return Covered(architecture, None, {"": str(error)})
    differences = _differences(net, model, clip)
    largest = max(differences) if differences else None
    return Covered(architecture, capture, dict(capture.refused), largest, len(differences))


def _differences(net: nn.Module, model: Model, clip: Clip) -> list[float]:
    """Return how far each block's rows are from the network's own weights, in double precision.

    Another order of sums rounds otherwise, and layer by layer that grows: in single precision
    two ways to run one network differ by more than rows do from either.
    """
    net.double()
    try:
        found = model.capture(clip).affinities
        own = _own_weights(net, model, clip)
    except (NlvizError, RuntimeError):  # numbers that are written in single precision
        net.float()
        found = model.capture(clip).affinities
        own = _own_weights(net, model, clip)
    # An operator is the sum over windows of weights that the network has one window at a time.
    rows = {n: a for n, a in found.items() if a.pairwise.name != "effective_operator"}
    return [_apart(a, own[name]) for name, a in rows.items() if name in own]


def coverage_table(rows: Sequence[Covered]) -> str:
    """Return the tables in Markdown, one for each library."""
    found = []
    for library in dict.fromkeys(row.architecture.library for row in rows):
        own = [row.cells for row in rows if row.architecture.library == library]
        lines = [HEAD, ("---",) * len(HEAD), *own]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        found.append(f"## {library}\n\n{len(own)} architectures.\n\n{table}")
    return "\n\n".join(found)


def renewed(document: str, table: str) -> str:
    """Return a document with another table between its markers.

    >>> renewed(f"a {BEGIN} old {END} b", "new").split()[-6]
    'new'
    """
    before, _, rest = document.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def _geometry(shown: Sequence[Affinity]) -> str:
    if not shown:
        return "–"
    off = max(max(grid.off[1:]) for a in shown for grid in (a.queries, a.keys))
    grids = dict.fromkeys("x".join(str(n) for n in a.queries.shape) for a in shown)
    where = "exact" if off < CENTRED else f"off by {off:.1f} px at most"
    return f"{where}: {', '.join(grids)}"


def _biases(shown: Sequence[Affinity]) -> list[str]:
    kinds = (type(getattr(a, "bias", None)).__name__ for a in shown)
    kept = ["weights kept" for a in shown if type(a).__name__ == "StoredAffinity"]
    return [*dict.fromkeys([*(BIASES[k] for k in kinds if k in BIASES), *kept])]


def _reasons(refused: dict[str, str]) -> list[str]:
    """Return each reason once, with how many blocks it is about."""
    said = Counter(
        why.removeprefix(f"{name} is not shown: ") if name else why for name, why in refused.items()
    )
    return [f"{n} x {why}" if n > 1 else why for why, n in said.items()]


def _own_weights(net: Any, model: Model, clip: Clip) -> dict[str, Tensor]:
    """Return the weights that a network computes where it is told to give them, by block."""
    prepared = model.prepared(clip)
    found: dict[str, Tensor] = {}
    tensor = prepared.tensor.to(next(net.parameters()).dtype)
    with torch.no_grad():
        if hasattr(net, "set_attn_implementation"):
            net.set_attn_implementation("eager")
            net.config.output_attentions = True
            output = prepared.call(net, tensor)
            given = [x for x in getattr(output, "attentions", None) or () if x is not None]
            beside = ("temporal", "predictor", "head")  # what the output does not list
            names = [n for n in model.blocks if not any(part in n for part in beside)]
            if len(given) == len(names):
                found = dict(zip(names, given, strict=True))
        else:
            with _unfused(net, found):
                prepared.call(net, tensor)
    return found


@contextmanager
def _unfused(net: nn.Module, found: dict[str, Tensor]) -> Iterator[None]:
    """Let the attention of timm and of torch compute its weights, and keep them."""
    handles = []
    for name, module in net.named_modules():
        if isinstance(module, nn.MultiheadAttention):

            def before(
                module: nn.Module, args: Any, kwargs: dict[str, Any]
            ) -> tuple[Any, dict[str, Any]]:
                return args, {**kwargs, "need_weights": True, "average_attn_weights": False}

            def after(module: nn.Module, args: Any, output: Any, name: str = name) -> None:
                found[name] = output[1].detach()

            handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
            handles.append(module.register_forward_hook(after))
        drop = getattr(module, "attn_drop", None)
        if isinstance(drop, nn.Module):
            if hasattr(module, "fused_attn"):
                module.fused_attn = False

            def keep(drop: nn.Module, args: Any, output: Any, name: str = name) -> None:
                found[name] = args[0].detach()

            handles.append(drop.register_forward_hook(keep))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _apart(affinity: Affinity, weights: Tensor) -> float:
    """Return the largest difference of rows from weights, in order or, in windows, sorted."""
    rows = affinity.token_rows().double()
    if affinity.queries.size > 1:  # one cell for the whole picture stands for a class token
        rows = torch.cat([rows, affinity.rows(range(affinity.queries.size)).double()], 1)
    if weights.dim() < 3:
        return float("nan")
    if weights.shape[-3:] == rows.shape and weights.numel() == rows.numel():
        in_order = float((weights.reshape(rows.shape) - rows).abs().max())
        if in_order < 1e-3:
            return in_order
    ours = rows.flatten(1)
    axis = next((i for i in (-3, 1) if weights.shape[i] == affinity.heads), -3)
    theirs = weights.movedim(axis, 0).flatten(1).double()
    if len(ours) != len(theirs):
        return float("nan")
    most = min(ours.shape[1], theirs.shape[1])
    ours, theirs = (x.topk(most, dim=1).values for x in (ours, theirs))
    return float((ours - theirs).abs().max())


def main(argv: Sequence[str]) -> int:
    """Print the table, or renew it in a document."""
    documents = [a for a in argv if a.endswith(".md")]
    names = {a for a in argv if not a.endswith(".md")}
    rows = []
    warnings.simplefilter("ignore")
    for architecture in architectures():
        if names and architecture.name not in names:
            continue
        rows.append(covered(architecture))
        print(" | ".join(rows[-1].cells), file=sys.stderr, flush=True)
    table = coverage_table(rows)
    if not documents:
        print(table)
    for path in map(Path, documents):
        path.write_text(renewed(path.read_text("utf-8"), table), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
