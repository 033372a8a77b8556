"""Products of two tensors as sums over labelled axes, in whatever form they were written.

``x @ y``, ``bmm`` and ``einsum`` say the same thing in other words: axes that both factors and the
product have are the batch, axes that only the factors have are summed over, and each factor has
axes of its own. One form for all of them:

    out[batch, rows, columns] = sum_summed x[batch, rows, summed] y[batch, columns, summed]
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

PRODUCTS = frozenset("matmul rmatmul bmm mm baddbmm einsum tensordot inner".split())


@dataclass(frozen=True, eq=False)
class Contraction:
    """A product of two tensors.

    Attributes:
        x, y: the factors.
        x_axes, y_axes, out_axes: labels of their axes and of those of the product.
        summand: what the product was added to, or None.
        factor: of the product before that.

    >>> import torch
    >>> found = contraction("matmul", (torch.zeros(2, 3, 5), torch.zeros(2, 5, 7)), {})
    >>> found.batch, found.rows, found.columns, found.summed
    (('b0',), ('i',), ('j',), ('c',))
    """

    x: Tensor
    y: Tensor
    x_axes: tuple[str, ...]
    y_axes: tuple[str, ...]
    out_axes: tuple[str, ...]
    summand: Tensor | None = None
    factor: float = 1.0

    @property
    def batch(self) -> tuple[str, ...]:
        """Axes of both factors and of the product, in the order of the product."""
        both = set(self.x_axes) & set(self.y_axes)
        return tuple(a for a in self.out_axes if a in both)

    @property
    def rows(self) -> tuple[str, ...]:
        """Axes of the product that x alone has."""
        return tuple(a for a in self.out_axes if a in self.x_axes and a not in self.y_axes)

    @property
    def columns(self) -> tuple[str, ...]:
        """Axes of the product that y alone has."""
        return tuple(a for a in self.out_axes if a in self.y_axes and a not in self.x_axes)

    @property
    def summed(self) -> tuple[str, ...]:
        """Axes that are summed over, in the order of x."""
        return tuple(a for a in self.x_axes if a in self.y_axes and a not in self.out_axes)

    @property
    def plain(self) -> bool:
        """Whether every axis of a factor is summed with the other's, or in the product."""
        return set(self.x_axes) | set(self.y_axes) == set(self.out_axes) | set(self.summed)

    def sizes(self) -> dict[str, int]:
        """Return the length of every axis; where one factor has 1 there, that of the other."""
        found = dict(zip(self.y_axes, self.y.shape, strict=True))
        for axis, n in zip(self.x_axes, self.x.shape, strict=True):
            found[axis] = max(n, found.get(axis, 1))
        return found

    def laid_out(self, factor: str, axes: tuple[tuple[str, ...], ...]) -> Tensor:
        """Return a factor with its axes in another order, each group of them as one axis.

        Args:
            factor: ``x`` or ``y``.
            axes: groups of axes; those of the first keep an axis each.
        """
        tensor, own = (self.x, self.x_axes) if factor == "x" else (self.y, self.y_axes)
        return arranged(tensor, own, axes, self.sizes())


def arranged(
    tensor: Tensor,
    own: tuple[str, ...],
    groups: tuple[tuple[str, ...], ...],
    sizes: dict[str, int],
) -> Tensor:
    """Return a tensor with labelled axes in another order, groups of them as one axis.

    >>> import torch
    >>> x = torch.arange(12.0).reshape(2, 3, 2)
    >>> arranged(x, ("a", "b", "c"), ((), ("c", "b"), ("a",)), {"a": 2, "b": 3, "c": 2}).shape
    torch.Size([6, 2])
    """
    wanted = [axis for group in groups for axis in group]
    x = tensor.permute(*(own.index(axis) for axis in wanted))
    x = x.expand(*(sizes[axis] for axis in wanted))
    first, *rest = groups
    shape = [sizes[axis] for axis in first]
    return x.reshape(*shape, *(math.prod(sizes[axis] for axis in group) for group in rest))


def contraction(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Contraction | None:
    """Return the product that a function of torch computes; None where it is none of two tensors.

    Args:
        name: of the function, one of ``PRODUCTS``.
        args: of the call, in order.
        kwargs: the rest of them.

    >>> import torch
    >>> a, b = torch.zeros(2, 3, 4, 5), torch.zeros(2, 6, 4, 5)
    >>> found = contraction("einsum", ("nchw,nkhw->nck", a, b), {})
    >>> found.rows, found.columns, found.summed
    (('c',), ('k',), ('h', 'w'))
    >>> pair = torch.zeros(2, 3, 5), torch.zeros(7, 5)
    >>> found = contraction("tensordot", pair, {"dims": ([2], [1])})
    >>> found.rows, found.columns, found.summed
    (('x0', 'x1'), ('y0',), ('c0',))
    """
    if name == "einsum":
        return _einsum(args)
    if name in ("tensordot", "inner"):
        return _tensordot(name, args, kwargs)
    if name == "baddbmm":
        if len(args) < 3:
            return None
        beta, alpha = float(kwargs.get("beta", 1)), float(kwargs.get("alpha", 1))
        found = _matmul(args[1], args[2])
        if found is None:
            return None
        return replace(found, summand=args[0] * beta if beta else None, factor=alpha)
    if len(args) != 2 or not all(isinstance(a, Tensor) for a in args):
        return None
    x, y = reversed(args) if name == "rmatmul" else args
    return _matmul(x, y)


def _matmul(x: Tensor, y: Tensor) -> Contraction | None:
    if x.dim() < 2 or y.dim() < 2:
        return None
    most = max(x.dim(), y.dim()) - 2
    # Axes of a batch are aligned at the right; one that a factor lacks is its own there.
    batch = tuple(f"b{i}" for i in range(most))
    of_x, of_y = batch[most - x.dim() + 2 :], batch[most - y.dim() + 2 :]
    if of_x != of_y:
        # The longer one stays itself: what is known of it is known of this very tensor.
        if x.dim() < y.dim():
            x = x.reshape((1,) * (y.dim() - x.dim()) + tuple(x.shape))
        else:
            y = y.reshape((1,) * (x.dim() - y.dim()) + tuple(y.shape))
    return Contraction(x, y, (*batch, "i", "c"), (*batch, "c", "j"), (*batch, "i", "j"))


def _tensordot(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Contraction | None:
    if len(args) < 2 or not all(isinstance(a, Tensor) for a in args[:2]):
        return None
    x, y = args[:2]
    dims = kwargs.get("dims", args[2] if len(args) > 2 else 2)
    if name == "inner":
        dims = ([-1], [-1])
    if isinstance(dims, Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        dims = (range(x.dim() - dims, x.dim()), range(dims))
    of_x, of_y = ([d % t.dim() for d in axes] for axes, t in zip(dims, (x, y), strict=True))
    x_axes = [f"x{i}" for i in range(x.dim())]
    y_axes = [f"y{i}" for i in range(y.dim())]
    for n, (i, j) in enumerate(zip(of_x, of_y, strict=True)):
        x_axes[i] = y_axes[j] = f"c{n}"
    out = [a for a in (*x_axes, *y_axes) if not a.startswith("c")]
    return Contraction(x, y, tuple(x_axes), tuple(y_axes), tuple(out))


def _einsum(args: tuple[Any, ...]) -> Contraction | None:
    if not args or not isinstance(args[0], str):
        return None
    operands = args[1] if len(args) == 2 and isinstance(args[1], (list, tuple)) else args[1:]
    if len(operands) != 2 or not all(isinstance(o, Tensor) for o in operands):
        return None
    equation = args[0].replace(" ", "")
    inputs, arrow, output = equation.partition("->")
    terms = inputs.split(",")
    if len(terms) != 2:
        return None
    x, y = operands
    labels = [_labels(term, o.dim()) for term, o in zip(terms, operands, strict=True)]
    if any(found is None for found in labels):
        return None
    x_axes, y_axes = labels[0] or (), labels[1] or ()
    letters = terms[0] + terms[1]
    if arrow:
        longest = max(labels, key=lambda found: sum(a.startswith("...") for a in found or ()))
        dots = tuple(a for a in longest or () if a.startswith("..."))
        out_axes = tuple(a for c in _pieces(output) for a in (dots if c == "..." else (c,)))
    else:
        out_axes = tuple(sorted(c for c in set(letters) if letters.count(c) == 1 and c != "."))
    if len(set(x_axes)) != len(x_axes) or len(set(y_axes)) != len(y_axes):
        return None  # a diagonal
    return Contraction(x, y, x_axes, y_axes, out_axes)


def _labels(term: str, dims: int) -> tuple[str, ...] | None:
    """Return a label for each axis; axes under an ellipsis are numbered from the right."""
    pieces = _pieces(term)
    extra = dims - len([p for p in pieces if p != "..."])
    found: list[str] = []
    for piece in pieces:
        if piece == "...":
            found += [f"...{extra - 1 - i}" for i in range(extra)]
        else:
            found.append(piece)
    return tuple(found) if len(found) == dims else None


def _pieces(term: str) -> list[str]:
    before, dots, after = term.partition("...")
    return [*before, *(["..."] if dots else []), *after]
