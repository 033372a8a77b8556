"""What is handed on of a pass again is never what the network has written to."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nlviz.networks.resumed import Prefix, keeping, resumed


class Writes(nn.Module):
    """A network that writes to what one of its first layers returned, and not to the other's."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(3, 5), nn.Linear(5, 5)
        self.head = nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(x)
        y = self.two(x)
        x.relu_()
        return self.head(x + y)


def kept() -> tuple[Writes, Prefix, Tensor]:
    torch.manual_seed(0)
    net, prefix = Writes().eval(), Prefix()
    handle = net.head.register_forward_pre_hook(lambda *given: prefix.end())
    with torch.no_grad(), keeping(net, prefix):
        y = net(torch.randn(4, 3))
    handle.remove()
    return net, prefix, y


def test_what_is_written_to_is_a_copy_and_the_rest_is_not() -> None:
    net, prefix, y = kept()
    for _ in range(4):
        with torch.no_grad(), resumed(net, prefix):
            assert torch.equal(net(torch.zeros(4, 3)), y)
    written = {name: call.written for (name, _), call in prefix.calls.items()}
    assert written == {"one": True, "two": False}


def test_what_was_written_to_after_all_is_computed_again() -> None:
    net, prefix, y = kept()
    for turn in range(3):
        with torch.no_grad(), resumed(net, prefix):
            found = net(torch.zeros(4, 3))
            if turn == 2:
                prefix.calls["two", 1].output.zero_()
        assert torch.equal(found, y)
    assert not prefix.calls
    with torch.no_grad(), resumed(net, prefix):
        assert not torch.equal(net(torch.zeros(4, 3)), y)
