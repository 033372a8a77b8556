"""The gradient of a score at a network's input and at what enters a module.

torch's own ``grad`` does it, but for networks with reentrant gradient checkpointing, which know
``backward`` alone: there all weights are held still, so that nothing is added to their gradients.
Under such checkpointing a module's first run has no gradient; its repetition in the backward pass
has it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from nlviz.errors import NlvizError
from nlviz.networks.calls import arguments, in_backward

_CURE = "; take occlusion, which needs no gradient"


def gradient(net: nn.Module, score: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the gradient of a score at a network's input.

    Args:
        net: the network.
        score: runs it on an input and returns one number.
        x: the input.

    Raises:
        NlvizError: when plain torch has no gradient of this network.

    >>> net = nn.Linear(3, 1, bias=False)
    >>> x = torch.tensor([1.0, 2.0, 3.0])
    >>> torch.equal(gradient(net, lambda x: net(x).sum(), x), net.weight[0].detach())
    True
    """
    x = x.detach().requires_grad_()
    with torch.enable_grad(), _told():
        try:
            (found,) = torch.autograd.grad(score(x), x)
            return found
        except RuntimeError as error:
            if "use_reentrant" not in str(error):
                raise
        with _still(net):
            score(x).backward()  # type: ignore[no-untyped-call]
    if x.grad is None:
        raise NlvizError(f"the score must depend on the input by a gradient{_CURE}")
    return x.grad


@contextmanager
def gradients_at(module: nn.Module) -> Iterator[Gradients]:
    """Collect the gradients at a module's first argument; of this thread's calls alone.

    >>> layer = nn.Linear(2, 1, bias=False)
    >>> with gradients_at(layer) as seen:
    ...     _ = gradient(layer, lambda x: layer(x).sum(), torch.ones(2))
    >>> torch.equal(seen.of_calls(1)[0], layer.weight[0].detach())
    True
    """
    owner = threading.get_ident()
    seen = Gradients()

    def enter(module: nn.Module, args: tuple[Any, ...], given: dict[str, Any]) -> None:
        if threading.get_ident() == owner:
            seen.enter(arguments(module, args, given)[0])

    handle = module.register_forward_pre_hook(enter, with_kwargs=True)
    try:
        yield seen
    finally:
        handle.remove()


class Gradients:
    """What arrived at the calls of one module, of the last forward pass."""

    def __init__(self) -> None:
        self._calls: list[list[Tensor]] = []
        self._repeated: list[list[Tensor]] = []

    def begin(self) -> None:
        """Forget an earlier forward pass."""
        self._calls.clear()
        self._repeated.clear()

    def enter(self, x: Any) -> None:
        """Wait for the gradient at a tensor that a call is given."""
        slot: list[Tensor] = []
        (self._repeated if in_backward() else self._calls).append(slot)
        if isinstance(x, Tensor) and x.requires_grad and torch.is_grad_enabled():
            x.register_hook(slot.append)  # type: ignore[no-untyped-call]

    def of_calls(self, count: int) -> tuple[Tensor, ...]:
        """Return the gradient at each call, in their order.

        Args:
            count: how many calls the forward pass had.

        Raises:
            NlvizError: when none arrived, or which call it belongs to cannot be known.
        """
        last = self._calls
        if not any(last) and count == 1:  # of several it would not be known which is which
            last = self._repeated
        if len(last) != count or not all(last):
            raise NlvizError(
                "the score must depend on what enters the block by a gradient; here none arrives, "
                f"because the network detaches it, or another part gives the score{_CURE}"
            )
        return tuple(torch.stack(slot).sum(0) if len(slot) > 1 else slot[0] for slot in last)


@contextmanager
def _still(net: nn.Module) -> Iterator[None]:
    """Let no parameter want a gradient."""
    wanted = [p for p in net.parameters() if p.requires_grad]
    try:
        for p in wanted:
            p.requires_grad_(False)
        yield
    finally:
        for p in wanted:
            p.requires_grad_(True)


@contextmanager
def _told() -> Iterator[None]:
    """Turn what torch says of gradients that do not exist into sentences."""
    try:
        yield
    except RuntimeError as error:
        reasons = {
            "inplace operation": "it changes a tensor in place that the gradient needs",
            "does not require grad": "its forward pass keeps no gradient",
            "not have been used in the graph": "its score does not depend on the input by one",
            "nference tensor": "its weights were made in inference mode",
        }
        for sign, reason in reasons.items():
            if sign in str(error):
                raise NlvizError(
                    f"a network must have a gradient in plain torch, this one has none: {reason}"
                    f"{_CURE}"
                ) from error
        raise
