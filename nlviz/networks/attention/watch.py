"""Sees the attention products of a forward pass, whoever wrote them, and leaves it as it is.

A function mode of torch sees every call of a torch function, whichever way the caller came by its
name. Three forms are known:

    fused     F.scaled_dot_product_attention(q, k, v, ...)
    packed    F.multi_head_attention_forward, whose body runs in sight, so it is one of the others
    written   a product of two tensors; then whatever is done to it; then a product with the values

What a written form did in between is followed where it is known (``tags``), and read off the
numbers where it is not; either way rows are compared with what left the product. All is a copy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from nlviz.networks.attention.beside import Beside
from nlviz.networks.attention.called import computes_none, in_order, name_of, one_operation
from nlviz.networks.attention.contraction import PRODUCTS, Contraction, contraction
from nlviz.networks.attention.in_sight import (
    as_written_in_python,
    body_in_sight,
    is_a_leaf_of_torch,
    learned,
    of_one_memory,
    term_of_mask,
)
from nlviz.networks.attention.joined import JoinedTags
from nlviz.networks.attention.products import (
    AttentionProduct,
    flat,
    grouped,
    joint_batch,
    product_of,
)
from nlviz.networks.attention.receipts import Receipts, checked
from nlviz.networks.attention.tags import (
    WRITTEN,
    First,
    Tag,
    changed,
    factors_of_weights,
    heads_mixed,
    normalised,
    read_off,
    tag_of,
    tag_of_weights,
)
from nlviz.networks.attention.values_product import values_product
from nlviz.networks.calls import block_and_run, in_backward, run_name

_FUSED = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")
PART = "/"  # between a module's name and the number of a product in it


@dataclass
class Seen:
    """What was seen of one forward pass.

    Attributes:
        products: in the order in which they ended.
        factors: of a pass on positions: of each product its factors, by its number.
        values: of a pass on positions: what each attention sums, by the same number.
        order: of each product, and each softmax, by its number: which function in which module.
        unread: by module, what was seen in it of an attention that cannot be read.
    """

    products: list[AttentionProduct] = field(default_factory=list)
    factors: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)
    values: dict[int, Tensor] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    unread: dict[str, str] = field(default_factory=dict)


class WatchAttention(TorchFunctionMode):
    """Collects the attention products of this thread.

    >>> q, k, v = torch.randn(3, 2, 4, 5, 6).unbind(0)
    >>> with WatchAttention() as watch:
    ...     y = F.scaled_dot_product_attention(q, k, v)
    ...     z = (q @ k.mT * 0.5).softmax(-1) @ v
    >>> fused, written = watch.seen.products
    >>> round(fused.scale, 4), written.scale, fused.size, written.error < written.tolerance
    (0.4082, 0.5, (8, 5, 5), True)
    """

    def __init__(
        self,
        *,
        keep: Container[str] | None = None,
        positions: bool = False,
        silenced: str | None = None,
        sums: bool = False,
    ) -> None:
        """Begin to watch.

        Args:
            keep: names of the modules whose products are wanted; None for all.
            positions: whether tensors hold positions instead of values: then factors are kept.
            silenced: name of a module, or of a run of it, whose attention returns zeros.
            sums: whether values and what leaves each product are kept, too.
        """
        super().__init__()
        self.seen = Seen()
        self.keep, self.positions, self.sums = keep, positions, sums
        self.silenced = None if silenced is None else block_and_run(silenced)
        self.by_channel: Callable[[Tensor], bool] | None = None
        self.of_channels: set[int] = set()
        self.path: list[str] = []
        self._tags: Beside[Tag] = Beside()
        self._joined = JoinedTags()
        self._receipts = Receipts(self.seen.products)
        self._entered = 0
        self._open: dict[int, First] = {}
        self._calls: Counter[str] = Counter()

    @property
    def module(self) -> str:
        """Name of the run of the innermost module that runs: ``layer``, then ``layer#2``."""
        return self.path[-1] if self.path else ""

    def enter(self, name: str) -> None:
        """Begin a call of a module."""
        self._calls[name] += 1
        self.path.append(run_name(name, self._calls[name]))

    def __enter__(self) -> WatchAttention:
        self._entered += 1
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)  # type: ignore[no-untyped-call]
        self._entered -= 1
        if not self._entered and raised[0] is None:
            self._receipts.settle()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if (not (self._tags or self._joined) and computes_none(func)) or in_backward():
            return func(*args, **given)
        name = name_of(func)
        if name == "scaled_dot_product_attention":
            return self._fused(func, args, given)
        if func is F.multi_head_attention_forward:
            with self:
                return body_in_sight(func)(*args, **given)
        ordered, options = in_order(func, name, args, given)
        if name in PRODUCTS:
            found = contraction(name, ordered, options)
            if found is not None:
                return self._product(found, func, args, given)
        if name == "softmax":
            return self._softmax(func, args, given, ordered, options)
        output = func(*args, **given)
        if self._tags or self._joined:
            self._follow(name, ordered, options, output)
        if not self.positions:
            whole = one_operation(func)
            if whole and self._wanted(self.module):
                why = f"{whole}, which computes attention in one operation that cannot be seen into"
                self.seen.unread.setdefault(self.module, why)
        return output

    def _fused(
        self, func: Callable[..., Any], args: tuple[Any, ...], options: dict[str, Any]
    ) -> Any:
        given = {**dict(zip(_FUSED, args, strict=False)), **options}
        q, k, v = (given[name] for name in _FUSED[:3])
        if self._silent():
            return torch.zeros_like(func(*args, **options))
        number = self._number(name_of(func))
        if given.get("enable_gqa") and k.shape[-3] != q.shape[-3]:
            k, v = grouped(k, v, q.shape[-3])
        if self.positions:
            self.seen.factors[number] = (q, k)
            self.seen.values[number] = v
            if self._of_channels(number, q):
                return func(*args, **options)
            # What attention returns lies where its query lies.
            return q.mean(-1, keepdim=True).expand(*q.shape[:-1], v.shape[-1])
        if not self._wanted(self.module):
            return func(*args, **options)
        batch = joint_batch(q, k, v)
        mask = given.get("attn_mask")
        terms = () if mask is None else (term_of_mask(mask, (*batch, q.shape[-2], k.shape[-2])),)
        scale = given.get("scale")
        product = AttentionProduct(
            number,
            self.module,
            flat(q, batch),
            flat(k, batch),
            scale=q.shape[-1] ** -0.5 if scale is None else float(scale),
            terms=terms,
            causal=bool(given.get("is_causal")),
        )
        output = func(*args, **options)
        if given.get("dropout_p"):
            note = "Dropout was left on in its product: these are the weights before it."
            self.seen.products.append(replace(product, note=note))
        else:
            if self.sums:
                product = replace(product, v=flat(v, batch), y=flat(output, batch))
            self._receipts.add(product, v, output, batch)
        return output

    def _product(
        self,
        found: Contraction,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        given: dict[str, Any],
    ) -> Any:
        number = self._number(name_of(func))
        if self.positions and found.plain:
            self.seen.factors[number] = (
                found.laid_out("x", (found.batch, found.rows, found.summed)),
                found.laid_out("y", (found.batch, found.columns, found.summed)),
            )
        left, right = self._tag(found.x), self._tag(found.y)
        if left is not None or right is not None:
            output = func(*args, **given)
            weights = "y" if left is None or (right is not None and right.normalised) else "x"
            tag = right if weights == "y" else left
            assert tag is not None
            placed = self._attention(found, weights, tag, output)
            if placed is not None:
                return placed
            if left is not None and right is not None:
                return output
            mixed = heads_mixed(found, weights, tag)
            if mixed is not None:
                self._set(output, mixed)
                return output
        else:
            output = None
        fixed = isinstance(found.x, nn.Parameter) and isinstance(found.y, nn.Parameter)
        wanted = found.plain and not fixed and self._wanted(self.module)
        tag = tag_of(found, number, self.module, copy=not self.positions) if wanted else None
        if output is None:
            output = func(*args, **given)
        if tag is not None and isinstance(output, Tensor):
            self._set(output, tag)
        return output

    def _softmax(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        given: dict[str, Any],
        ordered: tuple[Any, ...],
        options: dict[str, Any],
    ) -> Any:
        logits = ordered[0] if ordered else None
        dim = options.get("dim", ordered[1] if len(ordered) > 1 else None)
        tag, joined = self._tag(logits), self._joined.of(logits)
        output = func(*args, **given)
        if not isinstance(dim, int) or not isinstance(output, Tensor):
            return output
        if joined is not None:
            if (found := joined.normalised(dim)) is not None:
                self._joined.set(output, found)
                self._open |= {id(part.tag.first): part.tag.first for part in found.parts}
                return output
        if tag is not None and tag.normalised:
            tag = replace(tag, unknown="a second softmax came behind the first")
        elif tag is not None and isinstance(logits, Tensor):
            tag = normalised(tag if self.positions else read_off(logits, tag), dim)
        large = output.dim() > 2 or (output.dim() == 2 and output.shape[0] == output.shape[1])
        number = self._number("softmax") if large else 0
        if tag is None and large and self._wanted(self.module):
            tag = tag_of_weights(output, dim, number, self.module)
            if self.positions and isinstance(logits, Tensor):
                self.seen.factors[tag.first.number] = factors_of_weights(logits, dim)
        if tag is not None:
            self._set(output, tag)
            if large:
                self._open[id(tag.first)] = tag.first
        return output

    def _attention(self, found: Contraction, weights: str, tag: Tag, output: Any) -> Any:
        """Record an attention where a product sums over the keys of tagged weights.

        Returns:
            The product, or on positions what lies where the queries lie; None where it is none.
        """
        read = values_product(found, weights, tag)
        if read is None:
            return None
        if tag.normalised or not learned(found):
            self._open.pop(id(tag.first), None)
        if self.positions:
            self.seen.values[tag.first.number] = read.v()
            q = tag.first.k if read.role == "rows" else tag.first.q
            if q is None or self._of_channels(tag.first.number, q):
                return output
            return read.at_queries(q.mean(-1), output)
        if self._silent():
            return torch.zeros_like(output)
        tensor = found.x if weights == "x" else found.y
        if not tag.unknown and not tensor.is_inference() and tensor._version != tag.version:
            tag = replace(tag, unknown=WRITTEN)
        product = product_of(tag, read.role, self.module)
        if not self._wanted(product.module):
            return output
        if not tag.normalised and learned(found):
            return None
        w = read.w()
        if product.q is not None and product.q.shape[:2] != w.shape[:2]:
            return None
        v, y = read.v(), read.y(output)
        if self.sums:
            product = replace(product, v=flat(v, (len(v),)), y=flat(y, (len(y),)))
        self.seen.products.append(checked(product, v, y, w))
        return output

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


@contextmanager
def watched(
    net: nn.Module,
    *,
    keep: Container[str] | None = None,
    positions: bool = False,
    silenced: str | None = None,
    sums: bool = False,
) -> Iterator[WatchAttention]:
    """Watch the attention products of a network while the ``with`` block runs.

    Args:
        net: the network that will run.
        keep: names of the modules whose products are wanted; None for all.
        positions: whether it runs on positions.
        silenced: name of a module, or of a run of it, whose attention returns zeros.
        sums: whether values and what leaves each product are kept, too.

    >>> layer = nn.MultiheadAttention(6, 2, batch_first=True).eval()
    >>> x = torch.randn(1, 5, 6)
    >>> with torch.no_grad(), watched(nn.ModuleDict({"a": layer})) as watch:
    ...     y, rows = layer(x, x, x, average_attn_weights=False)
    >>> found = watch.seen.products[0]
    >>> found.module, found.size, found.error <= found.tolerance
    ('a', (2, 5, 5), True)
    """
    watch = WatchAttention(keep=keep, positions=positions, silenced=silenced, sums=sums)
    handles = []
    for name, module in net.named_modules():
        if isinstance(module, torch.jit.ScriptModule) or is_a_leaf_of_torch(module):
            continue

        def enter(module: nn.Module, args: Any, name: str = name) -> None:
            watch.enter(name)

        def leave(module: nn.Module, args: Any, output: Any) -> None:
            watch.path.pop()

        handles.append(module.register_forward_pre_hook(enter))
        handles.append(module.register_forward_hook(leave, always_call=True))
    try:
        with as_written_in_python(), watch:
            yield watch
        watch.end()
    finally:
        for handle in handles:
            handle.remove()
