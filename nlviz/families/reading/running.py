"""Products of blocks that hooks see, as they run: to be looked at, and to be changed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from nlviz.affinity.pairwise import Pairwise
from nlviz.networks.attention.running import Edit, RunningProduct, precise, tokens_product
from nlviz.networks.calls import arguments


@contextmanager
def edited_output(
    module: nn.Module,
    product: Callable[[tuple[Any, ...], Tensor], RunningProduct],
    edit: Edit,
    *,
    run: int | None = None,
) -> Iterator[None]:
    """Edit what a module returns, in this thread.

    Args:
        module: what it returns are sums of a product.
        product: returns it from the module's arguments and a copy of its output, of which the
            sums are a view.
        edit: called with the product, and writes to the sums.
        run: edit this run alone, counted from 1.
    """
    owner, calls = threading.get_ident(), 0

    def leave(_: nn.Module, args: tuple[Any, ...], given: dict[str, Any], output: Any) -> Any:
        nonlocal calls
        if threading.get_ident() != owner:
            return None
        calls += 1
        if run not in (None, calls):
            return None
        output = output.clone()
        edit(product(arguments(module, args, given), output))
        return output

    handle = module.register_forward_hook(leave, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


def edited_sums(
    module: nn.Module,
    pairwise: Callable[[tuple[Any, ...]], Pairwise],
    edit: Edit,
    *,
    run: int | None = None,
    causal: bool = False,
) -> AbstractContextManager[None]:
    """Edit what a module of a product returns, (*batch, heads, queries, dv), in this thread.

    Args:
        module: it is given theta, phi and values, (*batch, heads, tokens, d).
        pairwise: returns f and C from its arguments.
        edit: called with the product, and writes to what the module returned.
        run: edit this run alone, counted from 1.
        causal: whether a query reaches no key behind it.
    """

    def product(args: tuple[Any, ...], output: Tensor) -> RunningProduct:
        theta, phi, values = args[:3]
        rows = rows_of(theta, phi, pairwise(args), causal=causal)
        return tokens_product(rows, values, output, theta.shape[-2])

    return edited_output(module, product, edit, run=run)


@contextmanager
def edited_channels(
    block: nn.Module,
    parts: dict[str, nn.Module | None],
    pooled: Callable[[Tensor], Tensor],
    behind: nn.Module,
    rows: Callable[[Tensor, Tensor], tuple[Tensor, Tensor, Pairwise]],
    edit: Edit,
    *,
    run: int | None = None,
) -> Iterator[None]:
    """Edit y where it enters the projection of a block of convolutions, in this thread.

    Args:
        block: the block; the features enter it.
        parts: ``theta``, ``phi`` and ``g``, the modules whose outputs enter the product; None
            where the features do.
        pooled: returns the features as keys where ``phi`` is None.
        behind: the projection; y enters it as (batch, dv, *grid).
        rows: returns theta and phi, (batch, 1, tokens, d), as they enter f, and f.
        edit: called with the product, and writes to y.
        run: edit this run of the block alone, counted from 1.
    """
    owner, calls = threading.get_ident(), 0
    seen: dict[str, Tensor] = {}

    def enter(_: nn.Module, args: tuple[Any, ...], given: dict[str, Any]) -> None:
        nonlocal calls
        if threading.get_ident() == owner:
            calls += 1
            x = arguments(block, args, given)[0]
            seen.update(theta=x, phi=pooled(x), g=x)

    def keep(name: str) -> Callable[..., None]:
        def leave(_: nn.Module, args: Any, output: Tensor) -> None:
            if threading.get_ident() == owner:
                seen[name] = output

        return leave

    def project(_: nn.Module, args: tuple[Any, ...]) -> Any:
        if threading.get_ident() != owner or run not in (None, calls) or not seen:
            return None
        tokens = {name: x.flatten(2).mT[:, None] for name, x in seen.items()}
        theta, phi, f = rows(tokens["theta"], tokens["phi"])
        y = args[0].clone()
        laid = y.flatten(2).mT[:, None]
        before = laid.clone()
        edit(tokens_product(rows_of(theta, phi, f), tokens["g"], laid, theta.shape[2]))
        if torch.equal(before, laid):
            return None
        return (laid[:, 0].mT.reshape(y.shape), *args[1:])

    handles = [block.register_forward_pre_hook(enter, with_kwargs=True)]
    handles += [m.register_forward_hook(keep(n)) for n, m in parts.items() if m is not None]
    handles.append(behind.register_forward_pre_hook(project))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def rows_of(
    theta: Tensor, phi: Tensor, pairwise: Pairwise, *, causal: bool = False
) -> Callable[[Tensor], Tensor]:
    """Return what gives the rows of some queries of all entries, (entries, r, keys).

    Args:
        theta: (*batch, heads, queries, d).
        phi: (*batch, heads, keys, d).
        pairwise: f and C.
        causal: whether a query reaches no key behind it.
    """
    kind = precise(theta, phi)
    keys = phi.detach().flatten(0, -3).to(kind)
    queries = theta.detach().flatten(0, -3)

    def rows(index: Tensor) -> Tensor:
        index = index.to(queries.device)
        logits = pairwise.logits(queries[:, index].to(kind), keys)
        if causal:
            later = torch.arange(keys.shape[1], device=index.device)[None] > index[:, None]
            logits = logits.masked_fill(later, -torch.inf)
        return pairwise.normalise(logits)

    return rows
