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

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nlviz.networks.attention.called import computes_none, in_order, name_of, one_operation
from nlviz.networks.attention.chosen import Choose, chosen_rows
from nlviz.networks.attention.contraction import PRODUCTS, Contraction, contraction
from nlviz.networks.attention.gates import gate_of
from nlviz.networks.attention.in_sight import (
    as_written_in_python,
    body_in_sight,
    learned,
    term_of_mask,
)
from nlviz.networks.attention.layer_weights import tag_of_weights
from nlviz.networks.attention.products import (
    AttentionProduct,
    as_operator,
    flat,
    grouped,
    joint_batch,
    product_of,
)
from nlviz.networks.attention.receipts import checked
from nlviz.networks.attention.running import fused_product
from nlviz.networks.attention.sums import WEIGHTS
from nlviz.networks.attention.tags import (
    WRITTEN,
    Tag,
    heads_mixed,
    normalised,
    read_off,
    tag_of,
)
from nlviz.networks.attention.values_product import values_product
from nlviz.networks.attention.watching import Seen as Seen
from nlviz.networks.attention.watching import Watching
from nlviz.networks.calls import in_backward
from nlviz.networks.followed import Placed

_FUSED = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")
PART = "/"  # between a module's name and the number of a product in it


def unseen() -> AbstractContextManager[None]:
    """Return a context in which nobody who watches sees what is computed."""
    return torch._C.DisableTorchFunction()


class WatchAttention(Watching):
    """Collects the attention products of this thread.

    >>> q, k, v = torch.randn(3, 2, 4, 5, 6).unbind(0)
    >>> with WatchAttention() as watch:
    ...     y = F.scaled_dot_product_attention(q, k, v)
    ...     z = (q @ k.mT * 0.5).softmax(-1) @ v
    >>> fused, written = watch.seen.products
    >>> round(fused.scale, 4), written.scale, fused.size, written.error < written.tolerance
    (0.4082, 0.5, (8, 5, 5), True)
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if self.done and func is not F.multi_head_attention_forward:
            return func(*args, **given)
        if (not self._following and not self.positions and computes_none(func)) or in_backward():
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
                output = self._product(found, func, args, given)
                if self.landings and not self.landings.begun(output):
                    self.landings.follow(func, name, args, given, output)
                return output
        if name == "sum" and self._sums:
            found = self._sums.found(name, ordered, options, self._moved)
            if found is not None:
                return self._summed(found, func, args, given)
        if name == "softmax":
            return self._softmax(func, args, given, ordered, options)
        output = func(*args, **given)
        if self._tags or self._joined:
            self._follow(name, ordered, options, output)
        self._sums.follow(name, ordered, output)
        if self.positions:
            gate = gate_of(name, ordered) if self.landings.first and not self.in_norm else None
            if gate is not None:
                self.seen.gates[self.module] = gate
            if self.landings:
                self.landings.follow(func, name, args, given, output)
        else:
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
        if self.choose is not None and not self.positions and self._wanted(self.module):
            rows = self.choose(self.module, q.shape[-2])
            if rows is not None:
                return self._of_chosen(number, rows, given, func, args, options)
        if given.get("enable_gqa") and k.shape[-3] != q.shape[-3]:
            k, v = grouped(k, v, q.shape[-3])
        if self.edit is not None:
            output = func(*args, **options)
            if self._wanted(self.module):
                own = {**given, "query": q, "key": k, "value": v}
                with unseen():
                    self.edit(fused_product(self.module, number, own, joint_batch(q, k, v), output))
            return output
        if self.positions:
            batch = joint_batch(q, k, v)
            q, k, v = (x.expand(*batch, *x.shape[-2:]) for x in (q, k, v))
            self.seen.factors[number] = (q, k)
            self.seen.values[number] = v
            output = func(*args, **options)
            if self._of_channels(number, q):
                return output
            values = v.reshape(-1, *v.shape[-2:])

            def laid(of_queries: Tensor) -> Tensor:
                return of_queries.reshape(*batch, -1, 1).expand(output.shape)

            at = q.expand(*batch, *q.shape[-2:]).mean(-1).reshape(-1, q.shape[-2])
            return self.landings.attended(number, at, values, laid, output)
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
            batch=batch,
        )
        output = func(*args, **options)
        if self.sums:
            product = replace(product, v=flat(v, batch), y=flat(output, batch))
        if given.get("dropout_p"):
            note = "Dropout was left on in its product: these are the weights before it."
            self.seen.products.append(replace(product, note=note))
        else:
            self._receipts.add(product, v, output, batch)
        return output

    def _of_chosen(
        self,
        number: int,
        rows: Tensor,
        given: dict[str, Any],
        func: Callable[..., Any],
        args: tuple[Any, ...],
        options: dict[str, Any],
    ) -> Any:
        """Run a fused product and keep the chosen of its queries."""
        output = func(*args, **options)
        q, scale = given["query"], given.get("scale")
        found = chosen_rows(
            number,
            self.module,
            rows,
            q,
            given["key"],
            given["value"],
            output,
            mask=given.get("attn_mask"),
            causal=bool(given.get("is_causal")),
            scale=q.shape[-1] ** -0.5 if scale is None else float(scale),
        )
        if found is not None:
            self.seen.chosen.append(found)
        else:
            why = "an attention of several inputs at once, of which no words are chosen"
            self.seen.unread.setdefault(self.module, why)
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
            placed = self._attention(found, weights, tag, output, number)
            if placed is not None:
                return placed
            if left is not None and right is not None:
                return output
            mixed = heads_mixed(found, weights, tag)
            if mixed is not None:
                self._set(output, mixed)
                return output
        elif parts := self._joined.factors(found):
            # Values were put side by side as the weights were: a product for each part.
            output = func(*args, **given)
            placed = [self._attention(*part, output, number, whole=False) for part in parts]
            return next((x for x in placed if x is not None), output)
        elif kernel := self._sums.kernel(found):
            output = func(*args, **given)
            output = self._weighed(found, kernel, output, number)
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
                if self.shared is not None and self._wanted(self.module):
                    with unseen():
                        self.shared(found.running(output))
                return output
        if tag is not None and tag.normalised:
            tag = replace(tag, unknown="a second softmax came behind the first")
        elif tag is not None and isinstance(logits, Tensor):
            tag = normalised(tag if self.positions else read_off(logits, tag), dim)
        large = output.dim() > 2 or (output.dim() == 2 and output.shape[0] == output.shape[1])
        number = self._number("softmax") if large else 0
        if large:
            self._sums.mark(output, WEIGHTS)
        if tag is None and large and self._wanted(self.module):
            places = None
            if self.positions:
                of_one = isinstance(logits, Placed) and not logits.of_pairs
                places = logits if of_one else torch.zeros(())
            tag = tag_of_weights(output, (dim,), number, self.module, places=places)
        if tag is not None:
            self._set(output, tag)
            if large:
                self._open[id(tag.first)] = tag.first
        return output

    def _summed(
        self, found: Contraction, func: Callable[..., Any], args: tuple[Any, ...], given: Any
    ) -> Any:
        """Record an attention whose weights were multiplied with values, then summed."""
        number = self._number(name_of(func))
        output, tag = func(*args, **given), self._tag(found.x)
        if tag is None:
            return self._weighed(found, "x", output, number)
        placed = self._attention(found, "x", tag, output, number)
        return output if placed is None else placed

    def _weighed(self, found: Contraction, weights: str, output: Any, number: int) -> Any:
        """Record a sum of unfolded values with a kernel that a layer made, if it is one."""
        if not self._wanted(self.module):
            return output
        tensor, axes = (found.x, found.x_axes) if weights == "x" else (found.y, found.y_axes)
        places = tensor if self.positions and isinstance(tensor, Placed) else None
        if self.positions and places is None:
            return output
        dims = [axes.index(a) for a in found.summed]
        tag = tag_of_weights(tensor, dims, number, self.module, places=places, softmax=False)
        placed = self._attention(found, weights, tag, output, number)
        return output if placed is None else placed

    def _attention(
        self,
        found: Contraction,
        weights: str,
        tag: Tag,
        output: Any,
        number: int,
        *,
        whole: bool = True,
    ) -> Any:
        """Record an attention where a product sums over the keys of tagged weights.

        Args:
            found: the product.
            weights: which of its factors they are.
            tag: of them.
            output: the product.
            number: of it, which stands for an operator whose weights come from no product.
            whole: whether all of the output is that of these weights.

        Returns:
            The product, or on positions what lies where the queries lie; None where it is none.
        """
        read = values_product(found, weights, tag)
        if read is None:
            return None
        if tag.normalised or not learned(found):
            self._open.pop(id(tag.first), None)
        if self.positions:
            self.seen.values[tag.first.number] = v = read.v()
            laid = partial(read.at_queries, output=output)
            if tag.first.places is not None:
                own = read.where_weights_lie(tag)
                self._of_a_layer(tag.first.number, number, own, v)
                at = own.mean(-1)
                return self.landings.attended(number, at, v, laid, output, own=True, spread=own)
            q = tag.first.k if read.role == "rows" else tag.first.q
            if q is None or self._of_channels(tag.first.number, q):
                return output
            return self.landings.attended(tag.first.number, q.mean(-1), v, laid, output)
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
        if product.q is not None and product.q.shape[:2] != read.queries_in(output):
            return None
        which = product.number if product.number >= 0 else number
        product = replace(product, turn=self._turns[which])
        self._turns[which] += 1
        if self.edit is not None:
            with unseen():
                self.edit(read.running(product.module, which, output, product.turn))
            return output
        w = read.w()
        v, y = read.v(), (read.y(output) if whole else w @ read.v())
        if self.sums:
            product = replace(product, v=flat(v, (len(v),)), y=flat(y, (len(y),)))
        if product.number < 0:
            product = as_operator(product, number, v, y, sure=bool(tag.normalised))
        self.seen.products.append(checked(product, v, y, w))
        return output


@contextmanager
def watched(
    net: nn.Module,
    *,
    keep: Container[str] | None = None,
    positions: bool = False,
    silenced: str | None = None,
    sums: bool = False,
    choose: Choose | None = None,
    watch: WatchAttention | None = None,
) -> Iterator[WatchAttention]:
    """Watch the attention products of a network while the ``with`` block runs.

    Args:
        net: the network that will run.
        keep: names of the modules whose products are wanted; None for all.
        positions: whether it runs on positions.
        silenced: name of a module, or of a run of it, whose attention returns zeros.
        sums: whether values and what leaves each product are kept, too.
        choose: which queries of a module's fused products are kept; None for all of each.
        watch: a watcher in the place of one that is made of these.

    >>> layer = nn.MultiheadAttention(6, 2, batch_first=True).eval()
    >>> x = torch.randn(1, 5, 6)
    >>> with torch.no_grad(), watched(nn.ModuleDict({"a": layer})) as watch:
    ...     y, rows = layer(x, x, x, average_attn_weights=False)
    >>> found = watch.seen.products[0]
    >>> found.module, found.size, found.error <= found.tolerance
    ('a', (2, 5, 5), True)
    """
    watch = watch or WatchAttention(
        keep=keep, positions=positions, silenced=silenced, sums=sums, choose=choose
    )
    with watch.hooked(net), as_written_in_python(), watch:
        yield watch
    watch.end()
