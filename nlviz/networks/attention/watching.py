"""What a watcher of attention knows while a network runs: modules, tags, and what was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from nlviz.networks.attention.beside import Beside
from nlviz.networks.attention.chosen import Choose, ChosenRows
from nlviz.networks.attention.gates import Kind
from nlviz.networks.attention.in_sight import is_a_leaf_of_torch, of_one_memory
from nlviz.networks.attention.joined import JoinedTags
from nlviz.networks.attention.landing import Landings
from nlviz.networks.attention.products import AttentionProduct
from nlviz.networks.attention.receipts import Receipts
from nlviz.networks.attention.running import Edit, EditShared
from nlviz.networks.attention.sums import WeightedSums
from nlviz.networks.attention.tags import WRITTEN, First, Tag, changed
from nlviz.networks.calls import block_and_run, run_name


@dataclass
class Seen:
    """What was seen of one forward pass.

    Attributes:
        products: in the order in which they ended.
        factors: of a pass on positions: of each product its factors, by its number.
        values: of a pass on positions: what each attention sums, by the same number.
        order: of each product, and each softmax, by its number: which function in which module.
        gates: of a pass on positions: by module, what is scaled there.
        unread: by module, what was seen in it of an attention that cannot be read.
        chosen: of products of which some queries alone are kept, these.
    """

    products: list[AttentionProduct] = field(default_factory=list)
    factors: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    gates: dict[str, Kind] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    chosen: list[ChosenRows] = field(default_factory=list)


class Watching(TorchFunctionMode):
    """A function mode that follows tagged tensors through a forward pass."""

    def __init__(
        self,
        *,
        keep: Container[str] | None = None,
        positions: bool = False,
        silenced: str | None = None,
        sums: bool = False,
        choose: Choose | None = None,
        edit: Edit | None = None,
        shared: EditShared | None = None,
        began: Callable[[], None] | None = None,
    ) -> None:
        """Begin to watch.

        Args:
            keep: names of the modules whose products are wanted; None for all.
            positions: whether tensors hold positions instead of values: then factors are kept.
            silenced: name of a module, or of a run of it, whose attention returns zeros.
            sums: whether values and what leaves each product are kept, too.
            choose: which queries of a fused product are kept; None for all of each.
            edit: called with each product that is wanted, in the place of keeping it.
            shared: called with the rows that a softmax made for several products together.
            began: called when a product begins in a module that is wanted.
        """
        super().__init__()
        self.seen, self.done = Seen(), False
        self._handles: list[RemovableHandle] = []
        self.keep, self.positions, self.sums = keep, positions, sums
        self.choose, self.edit, self.shared, self.began = choose, edit, shared, began
        self.silenced = None if silenced is None else block_and_run(silenced)
        self.by_channel: Callable[[Tensor], bool] | None = None
        self.of_channels: set[int] = set()
        self.norms: frozenset[str] = frozenset()  # names of modules that normalise
        self.landings = Landings()
        self.path: list[str] = []
        self._tags: Beside[Tag] = Beside()
        self._joined = JoinedTags()
        self._sums = WeightedSums()
        self._receipts = Receipts(self.seen.products)
        self._entered = 0
        self._open: dict[int, First] = {}
        self._calls: Counter[str] = Counter()
        self._turns: Counter[int] = Counter()

    @property
    def module(self) -> str:
        """Name of the run of the innermost module that runs: ``layer``, then ``layer#2``."""
        return self.path[-1] if self.path else ""

    @property
    def in_norm(self) -> bool:
        """Whether a module that normalises runs, which scales each place by a number of its own."""
        return block_and_run(self.module)[0] in self.norms

    @contextmanager
    def hooked(self, net: nn.Module) -> Iterator[None]:
        """Know which module runs while a network does."""
        handles = self._handles
        modules = dict(net.named_modules())
        self.norms = frozenset(n for n, m in modules.items() if type(m).__name__.endswith("Norm"))
        for name, module in modules.items():
            if isinstance(module, torch.jit.ScriptModule) or is_a_leaf_of_torch(module):
                continue
            if self.edit is not None and not self._inside(name):
                continue

            def enter(module: nn.Module, args: Any, name: str = name) -> None:
                self.enter(name)

            def leave(module: nn.Module, args: Any, output: Any) -> None:
                self.path.pop()

            handles.append(module.register_forward_pre_hook(enter))
            handles.append(module.register_forward_hook(leave, always_call=True))
        try:
            yield
        finally:
            self.finish()

    def _inside(self, name: str) -> bool:
        """Check whether a module is one that is wanted, or lies in one: others have no say."""
        parts = name.split(".")
        above = {"", *(".".join(parts[: n + 1]) for n in range(len(parts)))}
        return self.keep is None or any(self._wanted(owner) for owner in above)

    def finish(self) -> None:
        """Look on no more: all has been seen that anybody waits for."""
        self.done = True
        while self._handles:
            self._handles.pop().remove()

    def enter(self, name: str) -> None:
        """Begin a call of a module."""
        self._calls[name] += 1
        self.path.append(run_name(name, self._calls[name]))

    @property
    def numbering(self) -> tuple[list[str], Counter[str]]:
        """What was numbered by now, and how often each module was called; both may be added to."""
        return self.seen.order, self._calls

    @property
    def _following(self) -> bool:
        """Whether anything is known of a tensor that is still there."""
        return bool(self._tags or self._joined or self._sums or self.landings)

    def __enter__(self) -> Self:
        self._entered += 1
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)  # type: ignore[no-untyped-call]
        self._entered -= 1
        if not self._entered and raised[0] is None:
            self._receipts.settle()

    def _of_a_layer(self, softmax: int, number: int, own: Tensor, v: Tensor) -> None:
        """Keep where weights that come from no product lie, and what they weigh, on positions.

        They may say something of the place of each key alone, whatever the query; or be a
        query's, for what lies around it.

        Args:
            softmax: number of the softmax that they are.
            number: of the product with the values.
            own: (entries, queries, keys) positions of weights.
            v: (entries, keys, dv) positions of values.
        """
        self.seen.factors[number], self.seen.values[number] = (own.mean(-1, keepdim=True), v), v
        entries, queries, keys = own.shape
        each = v.mean(-1, keepdim=True)[:, None].expand(entries, queries, keys, 1)
        nowhere = torch.zeros(entries * queries, 1, 1)
        self.seen.factors[softmax] = nowhere, own.reshape(-1, keys, 1)
        self.seen.values[softmax] = each.reshape(-1, keys, 1)

    def _moved(self, name: str, x: Tensor, dim: Any) -> Tensor:
        """Return a tensor with axes of one left out or put in, and what is known of it."""
        y: Tensor = getattr(x, name)(dim)
        self._follow(name, (x, dim), {}, y)
        return y

    def _follow(
        self, name: str, args: tuple[Any, ...], options: dict[str, Any], output: Any
    ) -> None:
        """Give what an operation returned the tag of what went in."""
        if isinstance(output, Tensor) and name == "cat":
            return self._joined.join(args, options, output, self._tag)
        for part, own in self._joined.taken(name, args, options, output):
            self._set(part, own)
        at = next((i for i, x in enumerate(args[:3]) if self._tag(x) is not None), None)
        if at is None:
            return
        tensor = args[at]
        tag = self._tag(tensor)
        assert tag is not None
        for other in filter(None, map(self._tag, args[at + 1 : 3])):
            self._open.pop(id(other.first), None)  # two sets of weights in one: read as the first
        if name == "setitem" and at == 0:
            if tensor.is_inference() and not tag.unknown:
                self._set(tensor, replace(tag, unknown=WRITTEN))
            return
        if not isinstance(output, Tensor):
            return
        if not tensor.is_inference() and output is not tensor and tensor._version != tag.version:
            tag = replace(tag, unknown=tag.unknown or WRITTEN)
        if output.numel() != tensor.numel():
            if tensor.is_inference() and not self.positions and of_one_memory(output, tensor):
                # Inference tensors count no writes: what a view of them is for is not seen.
                self._set(tensor, replace(tag, unknown=WRITTEN))
            return
        try:
            found_tag = changed(name, at, tag, args, options)
        except (IndexError, KeyError, TypeError, ValueError, RuntimeError):
            found_tag = replace(tag, unknown=f"{name} came between")
        if found_tag is not None:
            self._set(output, found_tag)

    def end(self) -> None:
        """Say of each softmax that no product with values followed that it is not read."""
        for first in self._open.values():
            what = "a product" if first.number >= 0 else "what is no product of queries and keys"
            why = f"a softmax of {what}, and sums no values with it in a known form"
            self.seen.unread.setdefault(first.module, why)

    def _of_channels(self, number: int, q: Tensor) -> bool:
        """Check whether a product is one of channels, on positions."""
        if self.by_channel is not None and self.by_channel(q):
            self.of_channels.add(number)
        return number in self.of_channels

    def _number(self, name: str) -> int:
        if self.began is not None and self._wanted(self.module):
            self.began()
        self.seen.order.append(f"{name} in {self.module}")
        return len(self.seen.order) - 1

    def _silent(self) -> bool:
        """Check whether the attention that runs returns zeros."""
        if self.silenced is None:
            return False
        module, run = block_and_run(self.module)
        return module == self.silenced[0] and self.silenced[1] in (None, run or 1)

    def _wanted(self, module: str) -> bool:
        return self.keep is None or module in self.keep or block_and_run(module)[0] in self.keep

    def _tag(self, x: Any) -> Tag | None:
        return self._tags.of(x)

    def _set(self, x: Tensor, tag: Tag) -> None:
        self._tags.set(x, replace(tag, version=0 if x.is_inference() else x._version))
