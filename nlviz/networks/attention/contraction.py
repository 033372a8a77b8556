"""Products of two tensors as sums over labelled axes, in whatever form they were written.

``x @ y``, ``bmm`` and ``einsum`` say the same thing in other words: axes that both factors and the
product have are the batch, axes that only the factors have are summed over, and each factor has
axes of its own. One form for all of them:

    out[batch, rows, columns] = sum_summed x[batch, rows, summed] y[batch, columns, summed]
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_MATMULS: frozenset[Callable[..., Any]] = frozenset(
    (
        torch.matmul,
        torch.bmm,
        torch.mm,
        Tensor.matmul,
        Tensor.bmm,
        Tensor.mm,
        Tensor.__matmul__,
        Tensor.__rmatmul__,
    )
)
_WITH_SUMMAND: frozenset[Callable[..., Any]] = frozenset((torch.baddbmm, Tensor.baddbmm))
_EINSUM = torch.functional.einsum


@dataclass(frozen=True, eq=False)
class Contraction:
    """A product of two tensors.

    Attributes:
        x, y: the factors.
        x_axes, y_axes, out_axes: labels of their axes and of those of the product.
        summand: what the product was added to, or None.
        factor: of the product before that.

    >>> found = contraction(torch.matmul, (torch.zeros(2, 3, 5), torch.zeros(2, 5, 7)), {})
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


def contraction(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Contraction | None:
    """Return the product that a function of torch computes; None where it is none of two tensors.

    >>> a, b = torch.zeros(2, 3, 4, 5), torch.zeros(2, 6, 4, 5)
    >>> found = contraction(torch.einsum, ("nchw,nkhw->nck", a, b), {})
    >>> found.rows, found.columns, found.summed
    (('c',), ('k',), ('h', 'w'))
    """
    if func in _MATMULS:
        factors = [a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)]
        if len(factors) != 2:
            return None
        x, y = reversed(factors) if func is Tensor.__rmatmul__ else factors
        return _matmul(x, y)
    if func in _WITH_SUMMAND:
        given = {**dict(zip(("input", "batch1", "batch2"), args, strict=False)), **kwargs}
        found = _matmul(given["batch1"], given["batch2"])
        beta, alpha = float(given.get("beta", 1)), float(given.get("alpha", 1))
        if found is None:
            return None
        summand = given["input"] * beta if beta else None
        return Contraction(
            found.x, found.y, found.x_axes, found.y_axes, found.out_axes, summand, alpha
        )
    if func is _EINSUM:
        return _einsum(args)
    return None


def _matmul(x: Tensor, y: Tensor) -> Contraction | None:
    if x.dim() < 2 or y.dim() < 2:
        return None
    most = max(x.dim(), y.dim()) - 2
    # Axes of a batch are aligned at the right; one that a factor lacks is its own there.
    batch = tuple(f"b{i}" for i in range(most))
    of_x, of_y = batch[most - x.dim() + 2 :], batch[most - y.dim() + 2 :]
    if of_x != of_y:
        longest = (1,) * (most - x.dim() + 2), (1,) * (most - y.dim() + 2)
        x, y = x.reshape(*longest[0], *x.shape), y.reshape(*longest[1], *y.shape)
    return Contraction(x, y, (*batch, "i", "c"), (*batch, "c", "j"), (*batch, "i", "j"))


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
