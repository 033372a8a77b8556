"""Follows positions through a network: each operation is done to where things lie, not to values.

A tensor of positions has the shape of the tensor of values in its place; an element says where the
element lies. What is computed of one element at a time moves nothing; what sums takes the mean of
its parts; attention, whose output is a mean over everywhere, adds nothing to the residual path;
what moves along axes is arithmetic (``nlviz.networks.followed_axes``). Nothing of the network is
changed: a tensor subclass sees the functions that its own forward calls. What is not known stops
the walk with ``NotFollowed``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from nlviz.networks.as_it_was import as_it_was
from nlviz.networks.first_layer import input_type
from nlviz.networks.followed_axes import AXIS_RULES, alike, on_meta, one_row, thin
from nlviz.networks.followed_names import (
    ATTENTION,
    CUT_OUT,
    EMPTY,
    IN_PLACE,
    MASKS,
    MEANS,
    ONE_BY_ONE,
    PRODUCTS,
    STRUCTURE,
    TOGETHER,
)
from nlviz.networks.followed_steps import STEP_RULES

Rule = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]

_SAID: ContextVar[torch.dtype | None] = ContextVar("dtype of positions", default=None)


@contextmanager
def said_to_be(dtype: torch.dtype) -> Iterator[None]:
    """Let positions say that they are of another type of number inside the ``with`` block.

    They are doubles whatever the network computes in; what it makes in the type of its input, an
    embedding of the time step for instance, must still fit its weights.

    >>> x = torch.zeros(3, dtype=torch.float64).as_subclass(Placed)
    >>> with said_to_be(torch.float16):
    ...     x.dtype, x.as_subclass(Tensor).dtype
    (torch.float16, torch.float64)
    """
    token = _SAID.set(dtype)
    try:
        yield
    finally:
        _SAID.reset(token)


@contextmanager
def on_positions(net: nn.Module) -> Iterator[None]:
    """Run a network on positions inside the ``with`` block; it is left as it was."""
    with torch.no_grad(), as_it_was(net, numbers=True), said_to_be(input_type(net)):
        yield


class NotFollowed(Exception):
    """An operation whose effect on positions is not known."""


class Placed(Tensor):
    """A tensor of positions.

    >>> x = torch.arange(8.0).expand(1, 3, 8).as_subclass(Placed)
    >>> torch.nn.Conv1d(3, 5, 3, stride=2)(x)[0, 0].as_subclass(Tensor)
    tensor([1., 3., 5.])
    """

    parts: frozenset[int] = frozenset()  # axes along which it is a part of another in its memory
    of_pairs: bool = False  # logits or weights of pairs, which have no place, or a view of them

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        name = getattr(func, "__name__", "")
        bare = name[2:] if name.startswith("__") else name.removeprefix("_")
        target = given.get("out")
        if bare.endswith("_") and not bare.endswith("__"):
            bare, target = bare.rstrip("_"), args[0]  # in place
        elif bare in IN_PLACE:
            target = args[0]
        if bare in ("to", "type_as") and not isinstance(args[0], Placed):
            return args[0]  # numbers in the type of positions stay numbers
        if name == "__get__" and getattr(func, "__self__", None) is Tensor.dtype:
            said = _SAID.get()
            if said is not None:
                return said
        with torch._C.DisableTorchFunctionSubclass():
            rule = _RULES.get(bare)
            if rule is None:
                return _described(func, name, args, given)
            found = rule(func, args, {k: v for k, v in given.items() if k != "out"})
            if target is not None and rule is not _written:
                return _into(target, found)
            view = rule in (_as_it_is, _reshaped)
            placed = _placed(found, args[0] if view and isinstance(args[0], Placed) else None)
            stays = rule is not _product or bare == "linear"
            pairs = isinstance(args[0], Placed) and args[0].of_pairs and stays
            pairs = pairs or rule is _nothing or _of_two(rule, args) or _of_all(rule, args)
            if isinstance(placed, Placed) and pairs:
                placed.of_pairs = True
            return placed


def _of_two(rule: Rule, args: tuple[Any, ...]) -> bool:
    """Check whether a product was of two tensors of positions."""
    return rule is _product and len(_positions(args)) > 1


def _of_all(rule: Rule, args: tuple[Any, ...]) -> bool:
    """Check whether two tensors are joined each element of one with each of the other.

    So additive attention makes its logits (Bahdanau 2015, arXiv 1409.0473): what results is of a
    pair of places.
    """
    found = _positions(args) if rule is _both else []
    if len(found) != 2:
        return False
    longest = max(x.dim() for x in found)
    one, other = ((1,) * (longest - x.dim()) + tuple(x.shape) for x in found)
    sides = [
        {d for d, (n, m) in enumerate(zip(a, b, strict=True)) if n > 1 and m == 1}
        for a, b in ((one, other), (other, one))
    ]
    return all(sides)


def _into(target: Any, found: Any) -> Any:
    """Write positions into a tensor, and into all that shares its memory."""
    if not isinstance(target, Placed) or not isinstance(found, Tensor):
        raise NotFollowed("writing into another tensor")
    if target.of_pairs or found is target:
        return target
    shared = [d for d in range(target.dim()) if alike([target], d)]
    same = all(one_row(found, d) for d in shared)
    if not target.parts and not same:
        target.data = found.clone(memory_format=torch.contiguous_format)
        return target
    if target.parts.intersection(shared) or not same:
        raise NotFollowed("writing into one row seen many times")
    thin(target, shared).copy_(thin(found, shared))
    return target


def _placed(value: Any, source: Placed | None = None) -> Any:
    """Return what a rule gave with its tensors of numbers as positions.

    Args:
        value: what it gave.
        source: what it may be a view of.
    """

    def one(x: Any) -> Any:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            return x
        found = x.as_subclass(Placed)
        if source is not None and found.numel() < source.numel():
            same = found.dim() == source.dim()
            cut = [d for d in range(found.dim()) if not same or found.shape[d] < source.shape[d]]
            found.parts = source.parts.union(cut) if same else frozenset(cut)
        elif source is not None and source.parts:
            found.parts = frozenset(range(found.dim()))
        return found

    return tree_map(one, value)


def _described(
    func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Return what an operation that has no rule says of a tensor without touching it."""
    if name == "__get__":  # an attribute
        found = func(*args, **kwargs)
        return _placed(found) if isinstance(found, Tensor) else found
    if name in (
        "__set__",
        "__repr__",
        "__format__",
        "__hash__",
        "__len__",
        "__bool__",
        "__index__",
    ):
        return func(*args, **kwargs)
    if name in ("size", "dim", "ndimension", "numel", "nelement", "stride", "is_contiguous"):
        return func(*args, **kwargs)
    if name.startswith(("is_", "has_", "get_", "storage", "element_", "data_ptr", "_is", "_has")):
        return func(*args, **kwargs)
    found = _positions((args, kwargs))
    if found and all(isinstance(x, Placed) and x.of_pairs for x in found):
        # What is computed of weights has no place, as these have none: the largest of them, say.
        return tree_map(_of_pairs, _placed(func(*args, **kwargs)))
    raise NotFollowed(name or str(func))


def _of_pairs(value: Any) -> Any:
    if isinstance(value, Placed):
        value.of_pairs = True
    return value


def _positions(value: Any) -> list[Tensor]:
    return [x for x in tree_leaves(value) if isinstance(x, Placed)]


def _first(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What is computed of one element at a time moves nothing."""
    return _copied(_positions((args, kwargs))[0])


def _as_it_is(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Structure is structure; constants among the parts have no place."""

    def one(x: Any) -> Any:
        fixed = isinstance(x, Tensor) and not isinstance(x, Placed) and x.is_floating_point()
        return torch.zeros((), dtype=_type(args), device=x.device).expand(x.shape) if fixed else x

    return func(*tree_map(one, args), **tree_map(one, kwargs))


def _reshaped(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    x, *shape = args
    if not shape or isinstance(shape[0], torch.dtype):
        raise NotFollowed("view of other numbers")
    return x.reshape(*shape)


def _copy(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    x = args[0]  # of its own along all axes but that of channels: parts may be written into
    channels = [1] if x.dim() > 2 and alike([x], 1) else []
    own = thin(x, channels).clone(memory_format=torch.contiguous_format)
    return own.expand(x.shape)


def _copied(x: Tensor) -> Tensor:
    """Return the same positions in memory of their own, where they may be written over."""
    return thin(x, [d for d in range(x.dim()) if alike([x], d)]).clone().expand(x.shape)


def _type(args: Any) -> torch.dtype:
    return _positions(args)[0].dtype


def _both(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Sums, and products too, lie where their parts lie; what is alike everywhere is left out."""
    found = _positions((args, kwargs))
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    shape = _broadcast([tuple(x.shape) for x in tensors])
    if len(found) > 1:
        aligned = [x.reshape((1,) * (len(shape) - x.dim()) + tuple(x.shape)) for x in found]
        most = max(x.numel() for x in aligned)
        if any(x.numel() < most for x in aligned):  # a gate, a mean over the picture
            whole = [x for x in aligned if tuple(x.shape) == shape]
            aligned = whole or [max(aligned, key=lambda x: x.numel())]
        found = aligned
    total = thin(found[0], [d for d in range(len(shape)) if alike(found, d)]).clone()
    for x in found[1:]:
        total = total + thin(x, [d for d in range(len(shape)) if alike(found, d)])
    return total.expand(shape)


def _broadcast(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    longest = max(map(len, shapes))
    aligned = [(1,) * (longest - len(s)) + s for s in shapes]
    return tuple(next((n for n in sizes if n != 1), 1) for sizes in zip(*aligned, strict=True))


def _mean(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    x, *rest = args
    if rest and isinstance(rest[0], Tensor):
        return _both(func, args, kwargs)  # max(a, b)
    name = func.__name__
    dim = kwargs.get("dim", kwargs.get("axis"))
    if dim is None:
        numbers = [r for r in rest if isinstance(r, (int, tuple, list)) and not isinstance(r, bool)]
        if name in ("norm", "vector_norm", "frobenius_norm", "std", "var") and len(numbers) > 1:
            numbers = numbers[1:]
        dim = numbers[0] if numbers else None
    keep = bool(kwargs.get("keepdim", any(r is True for r in rest)))
    if dim is None:
        return x.mean()
    mean = x.mean(dim, keepdim=keep)
    if name in ("max", "min", "median"):
        return mean, torch.zeros(mean.shape, dtype=torch.long, device=mean.device)
    return mean


def _nothing(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What attention returns is a mean over everywhere: it counts for nothing."""
    return tree_map(
        lambda x: (
            torch.zeros((), dtype=_type((args, kwargs)), device=_device(args)).expand(x.shape)
            if isinstance(x, Tensor)
            else x
        ),
        on_meta(func, args, kwargs),
    )


def _cut_out(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What boxes cut out of a picture lies where the boxes say, which no position tells."""
    found = on_meta(func, args, kwargs)
    kind, device = _type((args, kwargs)), _device(args)
    return torch.zeros((), dtype=kind, device=device).expand(found.shape)


def _empty(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    found = on_meta(func, args, {k: v for k, v in kwargs.items() if k != "device"})
    return torch.zeros(found.shape, dtype=args[0].dtype, device=args[0].device)


def _device(args: Any) -> torch.device:
    return _positions(args)[0].device


def _product(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A product with fixed numbers sums over an axis; one of two tensors is attention's."""
    found = _positions((args, kwargs))
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    if len(found) > 1:
        return _nothing(func, args, kwargs)
    shape = on_meta(func, args, kwargs).shape
    x = found[0]
    name = func.__name__
    if name in ("linear", "bilinear"):
        return x.mean(-1, keepdim=True).expand(shape)
    if "einsum" in name or "tensordot" in name:
        fixed = tree_map(
            lambda t: (
                torch.ones(t.shape, dtype=x.dtype, device=x.device)
                if isinstance(t, Tensor) and not isinstance(t, Placed)
                else t
            ),
            args,
        )
        total = func(*fixed, **kwargs)
        parts = func(*_ones(fixed), **kwargs)
        return total / parts.clamp(min=1)
    left = tensors[-2] is x  # of a product that may have a bias before it
    if name in ("__rmatmul__",):
        left = not left
    if left or x.dim() == 1:
        return x.mean(-1, keepdim=True).expand(shape)
    return x.mean(-2, keepdim=True).expand(shape)


def _ones(args: Any) -> Any:
    return tree_map(lambda t: torch.ones_like(t) if isinstance(t, Tensor) else t, args)


def _written(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Write into a tensor of positions, which may be one row seen many times."""
    target, *rest = args
    if not isinstance(target, Placed):
        raise NotFollowed("writing into another tensor")
    if target.of_pairs:
        return target
    if any(alike([target], d) for d in range(target.dim())):
        if target.parts:
            raise NotFollowed("writing into one row seen many times")
        target.data = target.clone(memory_format=torch.contiguous_format)
    fixed = [
        torch.zeros(r.shape, dtype=target.dtype, device=target.device)
        if isinstance(r, Tensor) and not isinstance(r, Placed) and r.is_floating_point()
        else 0.0
        if isinstance(r, float)
        else r
        for r in rest
    ]
    func(target, *fixed, **kwargs)
    return target


def _added_at(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What has no place may be added to some elements, as a table of positions is."""
    if not isinstance(args[0], Placed) or len(_positions((args, kwargs))) > 1:
        raise NotFollowed(func.__name__)
    return args[0]


def _mask(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return func(*args, **kwargs)


def _scattered(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Put elements of one tensor into places of another, as features among words."""
    given = dict(zip(("input", "mask", "source"), args, strict=False)) | kwargs
    exact = _positions((args, kwargs))[0].dtype
    target, source = (
        x if isinstance(x, Placed) else torch.zeros(x.shape, dtype=exact, device=x.device)
        for x in (given["input"], given["source"])
    )
    return target.masked_scatter(given["mask"], source.contiguous())


_RULES: dict[str, Rule] = {
    **dict.fromkeys(ONE_BY_ONE, _first),
    **dict.fromkeys(STRUCTURE, _as_it_is),
    **dict.fromkeys(("view", "reshape"), _reshaped),
    "clone": _copy,
    **dict.fromkeys(TOGETHER, _both),
    **dict.fromkeys(MEANS, _mean),
    **dict.fromkeys(ATTENTION, _nothing),
    **dict.fromkeys(EMPTY, _empty),
    **dict.fromkeys(CUT_OUT, _cut_out),
    **dict.fromkeys(MASKS, _mask),
    **dict.fromkeys(PRODUCTS, _product),
    **dict.fromkeys(("scaled_dot_product_attention", "multi_head_attention_forward"), _nothing),
    **AXIS_RULES,
    **STEP_RULES,
    # Asked by an encoder that would drop padded tokens; where it is watched it does not.
    "nested_tensor_from_mask_left_aligned": lambda func, args, kwargs: False,
    **dict.fromkeys(("index_add", "scatter_add"), _added_at),
    "masked_scatter": _scattered,
    "setitem__": _written,
    "copy": _written,
}
