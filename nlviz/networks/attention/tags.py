"""What became of a product on its way to the next one: scaled, added to, masked, normalised, moved.

The tensor of a product may be scaled, get a bias or a mask, go through a softmax, and be viewed in
other axes before it is multiplied with the values. A tag goes with it and keeps all that. Where an
element of the tensor lies in the product is told by a shadow of it, a tensor without data that is
moved in the same way: its strides are the answer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from nlviz.networks.attention.contraction import Contraction

Axes = tuple[tuple[int, int], ...]  # size and stride of each, in the product

_SCALED = frozenset("mul imul rmul multiply div idiv truediv itruediv divide true_divide".split())
_DIVIDED = frozenset("div idiv truediv itruediv divide true_divide".split())
_ADDED = frozenset("add iadd radd sub isub subtract rsub".split())
_SUBTRACTED = frozenset("sub isub subtract".split())
_REFLECTED = frozenset("add radd mul imul rmul multiply".split())  # the same either way round
WRITTEN = "a part of it was written in place"
SAME = frozenset(
    """contiguous clone to float half double bfloat16 type type_as detach dropout cpu cuda
    alias data requires_grad positive""".split()
)
MOVED = frozenset(
    """view reshape permute transpose swapaxes swapdims unsqueeze squeeze flatten unflatten movedim
    moveaxis view_as reshape_as t adjoint unsafe_view mT T H mH""".split()
)
_CALLED = {
    "view_as": "view",
    "reshape_as": "reshape",
    "unsafe_view": "view",
    "getitem": "__getitem__",
}


@dataclass(frozen=True, eq=False)
class Term:
    """What was added to a product, or masked in it, in its own size.

    Attributes:
        tensor: of the axes of the batch, the rows and the columns of the product, in this order; of
            size 1 along axes where it is the same.
        batch, rows, columns: full sizes of these axes.
        factor: of the numbers.
        masks: whether it is true where the product is kept and false where it is masked.
    """

    tensor: Tensor
    batch: tuple[int, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    factor: float = 1.0
    masks: bool = False

    def at(self, entries: Tensor, rows: Tensor) -> Tensor:
        """Return what is added to some rows, (n, columns); -inf where they are masked.

        Args:
            entries: (n,) numbers of the entries of the batch, flattened.
            rows: (n,) numbers of the rows, flattened.
        """
        index = [*_unravelled(entries, self.batch), *_unravelled(rows, self.rows)]
        own = self.tensor.shape[: len(index)]
        picked = self.tensor[
            tuple(i if n > 1 else torch.zeros_like(i) for i, n in zip(index, own, strict=True))
        ]
        picked = picked.expand(len(entries), *self.columns).reshape(len(entries), -1)
        if self.masks:
            nothing = torch.zeros((), device=picked.device)
            return torch.where(picked, nothing, -torch.inf)
        return picked * self.factor if self.factor != 1 else picked

    @property
    def by_row(self) -> bool:
        """Whether it is another one for each row."""
        first = len(self.batch)
        return any(n > 1 for n in self.tensor.shape[first : first + len(self.rows)])

    @property
    def by_column(self) -> bool:
        """Whether it is another one for each column; else a softmax over columns drops it."""
        return any(n > 1 for n in self.tensor.shape[len(self.batch) + len(self.rows) :])


@dataclass(frozen=True, eq=False)
class First:
    """The product that a tensor began as; or what a softmax was taken of, if it was none.

    Attributes:
        number: of the product among those of the pass; of what was none, below 0: -1 minus the
            number of its softmax.
        module: name of the module that it ran in.
        q: (entries, rows, d), or None.
        k: (entries, columns, d), or None.
        batch, rows, columns: sizes of its axes.
        places: of weights that come from no product, on positions: where they lie, (entries,
            columns); else None.
    """

    number: int
    module: str
    q: Tensor | None
    k: Tensor | None
    batch: tuple[int, ...]
    rows: tuple[int, ...]
    columns: tuple[int, ...]
    places: Tensor | None = None

    @property
    def size(self) -> tuple[int, int, int]:
        """Number of entries, rows and columns."""
        return math.prod(self.batch), math.prod(self.rows), math.prod(self.columns)


@dataclass(frozen=True, eq=False)
class Share:
    """One of several products that one softmax is taken over together.

    Attributes:
        whole: what all of them have in common, and no others.
        of: number of these products.
        complete: whether the softmax is over nothing else.
        before: tag of this one before the softmax.
    """

    whole: object
    of: int
    complete: bool
    before: Tag


@dataclass(frozen=True, eq=False)
class Tag:
    """What became of a product.

    Attributes:
        first: the product.
        shadow: a tensor without data, viewed as the tagged one was.
        scale: factor of the product.
        scales: a factor for each entry of the batch, (entries,), or None.
        terms: what was added and masked, before the softmax.
        normalised: ``columns`` or ``rows``, whichever sum to 1, or empty.
        unknown: what else was done to it, in words: its numbers are not those that this tag tells.
        version: of the tensor when it was tagged; another one says that a view of it was written.
        share: of a softmax over several products side by side, which of them this is; or None.
    """

    first: First
    shadow: Tensor
    scale: float = 1.0
    scales: Tensor | None = None
    terms: tuple[Term, ...] = ()
    normalised: str = ""
    unknown: str = ""
    version: int = field(default=0)
    share: Share | None = None

    def roles(self, sizes: Axes | None = None) -> list[str]:
        """Return what each axis is in the product: batch, rows, columns, any, or mixed."""
        _, rows, columns = self.first.size
        found = []
        for n, stride in sizes or tuple(zip(self.shadow.shape, self.shadow.stride(), strict=True)):
            if n == 1:
                found.append("any")
                continue
            last = (n - 1) * stride
            if stride == 0:
                found.append("mixed")
            elif last < columns:
                found.append("columns")
            elif stride >= columns and last < columns * rows:
                found.append("rows")
            elif stride >= columns * rows:
                found.append("batch")
            else:
                found.append("mixed")
        return found

    def order(self, role: str) -> list[int]:
        """Return the axes of a role, outermost first."""
        roles = self.roles()
        strides = self.shadow.stride()
        return sorted((i for i, r in enumerate(roles) if r == role), key=lambda i: -strides[i])

    def in_order(self, x: Tensor) -> Tensor | None:
        """Return a tensor of the tagged one's axes as (entries, rows, columns); None where mixed.

        An axis along which it is the same may have the size 1.
        """
        if "mixed" in self.roles():
            return None
        groups = [self.order(role) for role in ("batch", "rows", "columns")]
        rest = [i for i in range(self.shadow.dim()) if not any(i in group for group in groups)]
        x = x.expand(self.shadow.shape).permute(*rest, *groups[0], *groups[1], *groups[2])
        return x.reshape(self.first.size)

    def term(self, tensor: Tensor, *, factor: float = 1.0, masks: bool = False) -> Term | None:
        """Return what was added to the tagged tensor; None where its axes cannot be told apart."""
        roles = self.roles()
        if "mixed" in roles or tensor.dim() > self.shadow.dim():
            return None
        x = tensor.reshape((1,) * (self.shadow.dim() - tensor.dim()) + tuple(tensor.shape))
        for axis, stride in enumerate(x.stride()):
            if stride == 0 and x.shape[axis] > 1:  # expanded: the same along it
                x = x.narrow(axis, 0, 1)
        groups = [self.order(role) for role in ("batch", "rows", "columns")]
        rest = [i for i, r in enumerate(roles) if r == "any"]
        x = x.permute(*rest, *(i for group in groups for i in group))[(0,) * len(rest)]
        sizes = [tuple(self.shadow.shape[i] for i in group) for group in groups]
        return Term(x.detach().clone(), sizes[0], sizes[1], sizes[2], factor, masks)


def tag_of(found: Contraction, number: int, module: str, *, copy: bool = True) -> Tag:
    """Return the tag of a product as it leaves, with its factors copied."""
    sizes = found.sizes()
    batch, rows, columns = (
        tuple(sizes[a] for a in axes) for axes in (found.batch, found.rows, found.columns)
    )
    groups = (found.batch, found.rows, found.summed), (found.batch, found.columns, found.summed)
    q, k = (found.laid_out(factor, ((), *of)) for factor, of in zip("xy", groups, strict=True))
    if copy:
        q, k = (x.detach().clone(memory_format=torch.contiguous_format) for x in (q, k))
    first = First(number, module, q, k, batch, rows, columns)
    shadow = torch.empty((*batch, *rows, *columns), device="meta")
    own = (*found.batch, *found.rows, *found.columns)
    shadow = shadow.permute(*(own.index(axis) for axis in found.out_axes))
    tag = Tag(first, shadow, scale=found.factor)
    if found.summand is None:
        return tag
    term = tag.term(found.summand)
    if term is None:
        return replace(tag, unknown="it was added to a product")
    return replace(tag, terms=(term,))


def heads_mixed(found: Contraction, weights: str, tag: Tag) -> Tag | None:
    """Return the tag behind a product that mixes heads: talking heads. None where it is none.

    Args:
        found: the product.
        weights: its factor that is tagged, ``x`` or ``y``.
        tag: of that factor.
    """
    tensor, axes = (found.x, found.x_axes) if weights == "x" else (found.y, found.y_axes)
    other = found.y_axes if weights == "x" else found.x_axes
    own = tuple(a for a in other if a not in axes)
    summed = found.summed
    if tensor.dim() != tag.shadow.dim() or len(summed) != 1 or len(own) != 1:
        return None
    roles = dict(zip(axes, tag.roles(), strict=True))
    sizes = found.sizes()
    if roles[summed[0]] != "batch" or sizes[summed[0]] != sizes[own[0]]:
        return None
    if set(found.out_axes) != {*axes, *own} - set(summed):
        return None
    order = (own[0] if a == summed[0] else a for a in axes)
    at = {axis: i for i, axis in enumerate(order)}
    shadow = tag.shadow.permute(*(at[a] for a in found.out_axes))
    return replace(tag, shadow=shadow, unknown=tag.unknown or "heads are mixed")


def changed(
    name: str, at: int, tag: Tag, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Tag | None:
    """Return the tag behind an operation on its tensor; None where no tensor of its kind is left.

    Args:
        name: of the operation, without marks of being in place or a method.
        at: which of the arguments is tagged.
        tag: of it.
        args: of the operation, in order.
        kwargs: the rest of them.
    """
    came = f"{name} came {'behind the softmax' if tag.normalised else 'between'}"
    unknown = replace(tag, unknown=tag.unknown or came)
    if name == "where" and not tag.normalised and len(args) == 3:
        if at == 1:
            return _filled(tag, ~args[0], args[2])
        return _filled(tag, args[0], args[1]) if at == 2 else unknown
    if at == 1 and name in ("sub", "subtract", "rsub") and not tag.normalised:
        # What is scaled by alpha is taken away: the tagged one, or the other from it.
        alpha = float(kwargs.get("alpha", 1))
        scaled = tag if name == "rsub" else _scaled("mul", tag, -alpha)
        return _added(scaled, args[0], -alpha if name == "rsub" else 1.0)
    if at == 1 and name == "add" and not tag.normalised:
        return _added(_scaled("mul", tag, float(kwargs.get("alpha", 1))), args[0], 1.0)
    if at == 1 and name in _REFLECTED:
        at, args = 0, (args[1], args[0], *args[2:])
    if at:
        return unknown
    if name in SAME:
        if name == "dropout" and _drops(args, kwargs):
            return replace(tag, unknown="dropout was left on")
        return tag
    if name == "nan_to_num" and tag.normalised:
        return tag  # rows in which all is masked are 0, as they are taken here
    if is_moved(name, args):
        return _moved(name, tag, args, kwargs)
    if tag.normalised:
        return unknown
    if name in _SCALED:
        return _scaled(name, tag, args[1] if len(args) > 1 else kwargs.get("other"))
    if name == "neg":
        return _scaled("mul", tag, -1.0)
    if name in _ADDED and len(args) > 1:
        alpha = float(kwargs.get("alpha", 1))
        if name == "rsub":
            return _added(_scaled("mul", tag, -alpha), args[1], 1.0)
        return _added(tag, args[1], -alpha if name in _SUBTRACTED else alpha)
    if name == "masked_fill" and len(args) == 3:
        return _filled(tag, args[1], args[2])
    return unknown


def is_moved(name: str, args: tuple[Any, ...]) -> bool:
    """Check whether an operation shows a tensor in other axes; an index may add some.

    >>> is_moved("getitem", (None, (slice(None), None))), is_moved("getitem", (None, 0))
    (True, False)
    """
    if name != "getitem" or len(args) < 2:
        return name in MOVED
    index = args[1] if isinstance(args[1], tuple) else (args[1],)
    return all(i is None or i is Ellipsis or (type(i) is slice and i == slice(None)) for i in index)


def _added(tag: Tag, other: Any, factor: float) -> Tag:
    if not isinstance(other, Tensor):
        return tag  # a number for all alike
    return _with_term(tag, tag.term(other, factor=factor), "a sum")


def normalised(tag: Tag, dim: int) -> Tag | None:
    """Return the tag behind a softmax; None where it is over neither rows nor columns."""
    role = tag.roles()[dim]
    whole = {"columns": tag.first.size[2], "rows": tag.first.size[1]}
    if whole.get(role) != tag.shadow.shape[dim]:
        if tag.shadow.shape[dim] == 1:
            return replace(tag, normalised="columns")
        return None
    return replace(tag, normalised=role)


def read_off(logits: Tensor, tag: Tag) -> Tag:
    """Return the tag of logits with what was added to them read off their numbers.

    Where a view of the logits was written, all that was done is a term: logits minus scaled
    q k^T.
    """
    written = not logits.is_inference() and logits._version != tag.version
    if tag.unknown or not written or logits.device.type == "meta":
        return tag  # what is not a sum cannot be told from its numbers
    now = tag.in_order(logits)
    q, k = tag.first.q, tag.first.k
    if now is None or q is None or k is None:
        return replace(tag, unknown=WRITTEN)
    base = (q @ k.mT) * tag.scale
    if tag.scales is not None:
        base = base * tag.scales[:, None, None]
    batch, rows, columns = tag.first.size
    rest = Term((now - base).detach(), (batch,), (rows,), (columns,))
    return replace(tag, terms=(rest,), unknown="")


def _drops(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    given = dict(zip(("input", "p", "training"), args, strict=False)) | kwargs
    return bool(given.get("training", True)) and float(given.get("p", 0.5)) > 0


def _moved(name: str, tag: Tag, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tag | None:
    rest = [a.shape if isinstance(a, Tensor) else a for a in args[1:]]
    given = {k: v.shape if isinstance(v, Tensor) else v for k, v in kwargs.items()}
    how = _CALLED.get(name, name)
    try:
        found = getattr(tag.shadow, how)
        shadow = found if isinstance(found, Tensor) else found(*rest, **given)
    except (RuntimeError, TypeError, AttributeError):
        return None
    if not isinstance(shadow, Tensor) or shadow.untyped_storage()._cdata != (
        tag.shadow.untyped_storage()._cdata
    ):
        return None
    return replace(tag, shadow=shadow)


def _scaled(name: str, tag: Tag, by: Any) -> Tag:
    if isinstance(by, Tensor) and by.numel() == 1:
        by = float(by)
    if isinstance(by, (int, float)) and not isinstance(by, bool):
        factor = 1 / by if name in _DIVIDED else float(by)
        terms = tuple(replace(t, factor=t.factor * (1 if t.masks else factor)) for t in tag.terms)
        return replace(tag, scale=tag.scale * factor, terms=terms)
    if isinstance(by, Tensor) and by.is_floating_point():
        term = tag.term(1 / by if name in _DIVIDED else by)
        if term is not None and not term.by_row and not term.by_column:
            entries = torch.arange(tag.first.size[0], device=by.device)
            each = term.at(entries, torch.zeros_like(entries))[:, 0]
            scaled = [t for t in (_times(t, term) for t in tag.terms) if t is not None]
            if len(scaled) == len(tag.terms):
                scales = each if tag.scales is None else tag.scales * each
                return replace(tag, scales=scales, terms=tuple(scaled))
    return replace(tag, unknown="it was multiplied by a tensor")


def _times(term: Term, by: Term) -> Term | None:
    """Return a term times a number for each entry; None where their axes are others."""
    if term.masks:
        return term
    if (term.batch, len(term.rows), len(term.columns)) != (
        by.batch,
        len(by.rows),
        len(by.columns),
    ):
        return None
    return replace(term, tensor=term.tensor * by.tensor)


def _with_term(tag: Tag, term: Term | None, name: str) -> Tag:
    if term is None:
        return replace(tag, unknown=f"{name} came between")
    return replace(tag, terms=(*tag.terms, term))


def _filled(tag: Tag, mask: Any, value: Any) -> Tag:
    """Return the tag behind a fill of what a mask says; a low value masks, another is unknown."""
    several = isinstance(value, Tensor) and value.numel() != 1
    number = 0.0 if several or value is None else float(value)
    if not isinstance(mask, Tensor) or number > -1e4:
        return replace(tag, unknown="it was filled with numbers")
    return _with_term(tag, tag.term(~mask.bool(), masks=True), "a mask")


def _unravelled(index: Tensor, sizes: tuple[int, ...]) -> list[Tensor]:
    found: list[Tensor] = []
    for n in reversed(sizes):
        found.append(index % n)
        index = index.div(n, rounding_mode="floor")
    return found[::-1]
