"""Hooks see one forward pass of one thread, and are always removed."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from nlviz.networks.hooks import recorded


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(4, 2, 1))


def hooks(module: nn.Module) -> int:
    return sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks)
        for m in module.modules()
    )


def test_calls_are_kept_by_name_and_hooks_removed() -> None:
    model = net()
    x = torch.randn(1, 3, 8, 8)
    with recorded(model, {"relu": model[1], "last": model[2]}) as calls:
        y = model(x)
        assert hooks(model) > 0
    assert hooks(model) == 0
    assert list(calls) == ["relu", "last"]
    assert torch.equal(calls["last"].output, y)
    assert torch.equal(calls["last"].args[0], calls["relu"].output)
    assert not calls["last"].output.requires_grad


def test_hooks_are_removed_after_an_exception() -> None:
    model = net()
    with pytest.raises(ZeroDivisionError), recorded(model, {"relu": model[1]}):
        raise ZeroDivisionError
    assert hooks(model) == 0
    with pytest.raises(RuntimeError), recorded(model, {"relu": model[1]}):
        model(torch.zeros(1, 7, 8, 8))
    assert hooks(model) == 0


def test_hooks_of_others_stay() -> None:
    model = net()
    model[1].register_forward_hook(lambda *_: None)
    with recorded(model, {"relu": model[1]}):
        pass
    assert hooks(model) == 1


def test_another_threads_forward_is_not_recorded() -> None:
    model = net()
    with recorded(model, {"relu": model[1]}) as calls:
        thread = threading.Thread(target=model, args=(torch.zeros(1, 3, 8, 8),))
        thread.start()
        thread.join()
        assert not calls
        model(torch.ones(1, 3, 6, 6))
    assert calls["relu"].output.shape[-1] == 3
