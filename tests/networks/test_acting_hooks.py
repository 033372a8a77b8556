"""Hooks that act are told from those that look on, by what they do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from nlviz.networks.acting_hooks import acting_hooks, with_hooks


def in_place(module: nn.Module, args: Any, output: torch.Tensor) -> None:
    output.mul_(2)


def same(module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor:
    return output


def another(module: nn.Module, args: Any, output: torch.Tensor) -> torch.Tensor:
    return output.flip(0)


@pytest.mark.parametrize(("hook", "acts"), [(in_place, True), (same, False), (another, True)])
def test_what_a_hook_does_decides(hook: Callable[..., Any], acts: bool) -> None:
    net = nn.Sequential(nn.Linear(3, 5), nn.ReLU())
    handle = net[0].register_forward_hook(hook)
    x = torch.randn(2, 3)
    with torch.no_grad():
        plain = net(x)
        with acting_hooks(net) as found:
            watched = net(x)
    assert torch.equal(watched, plain)
    assert found == ({handle.id} if acts else set())
    assert list(net[0]._forward_hooks.values()) == [hook]


def test_a_hook_of_the_arguments_acts_where_it_returns_others() -> None:
    net = nn.Sequential(nn.Linear(3, 5), nn.ReLU())
    looks_on = net[1].register_forward_pre_hook(lambda module, args: None)
    acts = net[1].register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    with torch.no_grad(), acting_hooks(net) as found:
        net(torch.zeros(2, 3))
    assert found == {acts.id} != {looks_on.id}


def test_a_hook_that_removes_itself_stays_removed() -> None:
    net = nn.ReLU()
    handle = net.register_forward_hook(lambda module, args, output: handle.remove())
    with acting_hooks(net):
        net(torch.zeros(2))
    assert not net._forward_hooks


def test_hooks_come_back_in_their_order_also_after_an_exception() -> None:
    net = nn.ReLU()
    hooks = [in_place, same, another]
    handles = [net.register_forward_hook(hook) for hook in hooks]

    def run() -> None:
        with with_hooks(net, {handles[2].id}):
            assert list(net._forward_hooks.values()) == [another]
            raise KeyError

    with pytest.raises(KeyError):
        run()
    assert list(net._forward_hooks.values()) == hooks
