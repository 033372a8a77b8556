"""The two denoising networks: alike but for one block, and read like any other network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import nlviz
from nlviz.errors import NlvizError
from nlviz.families.reading.adapter import InputSpec
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.denoising import AtOneLevel, DenoisingNet


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def test_the_networks_differ_in_one_block_of_as_many_parameters() -> None:
    local, other = DenoisingNet("local"), DenoisingNet("nonlocal")
    assert abs(count(local) / count(other) - 1) < 0.02
    assert abs(count(local.block) / count(other.block) - 1) < 0.02
    apart = set(local.state_dict()) ^ set(other.state_dict())
    assert apart and all(name.startswith("block.") for name in apart)


def test_a_fresh_block_changes_nothing() -> None:
    x = torch.randn(2, 48, 6, 10)
    for kind in ("local", "nonlocal"):
        assert torch.equal(DenoisingNet(kind).eval().block(x.clone()), x)


def test_the_local_network_sees_what_its_convolutions_see_and_the_other_everything() -> None:
    torch.manual_seed(0)
    for kind, everything in (("local", False), ("nonlocal", True)):
        net = DenoisingNet(kind).eval()
        for p in net.block.parameters():
            nn.init.normal_(p, std=0.3) if p.dim() else None
        nn.init.normal_(net.tail.weight, std=0.1)
        x = torch.rand(1, 3, 96, 20, requires_grad=True)
        net(x, torch.tensor([0.1]))[0, :, 0].sum().backward()
        grad = x.grad
        assert grad is not None
        seen = grad.abs().amax((0, 1, 3)) > 0
        # 8 cells of convolutions before the block, 9 behind it, and the own cell.
        assert bool(seen[36:].any()) is everything
        assert bool(seen[30:36].any())


def test_the_picture_is_what_plain_layers_give() -> None:
    torch.manual_seed(1)
    net = DenoisingNet("nonlocal").eval()
    assert isinstance(net.block, NonLocalBlock)
    nn.init.normal_(net.block.out.weight, std=0.2)
    noisy, sigma = torch.rand(1, 3, 10, 14), torch.tensor([0.2])
    with torch.no_grad():
        cells = torch.stack(
            [noisy[0, c, i::2, j::2] for c in range(3) for i in range(2) for j in range(2)]
        )
        low = net.head(torch.cat([cells, torch.full((1, 5, 7), 0.8)])[None])
        x = low
        for part in net.first:
            x = x + part.b(part.a(x).relu())
        x = x + net.middle.out(net.middle.a(x).relu())
        theta, phi, g = (
            (conv.weight[:, :, 0, 0] @ x[0].flatten(1) + conv.bias[:, None]).T
            for conv in (net.block.theta, net.block.phi, net.block.g)
        )
        theta, phi = (e / e.norm(dim=1, keepdim=True) for e in (theta, phi))
        assert net.block.log_scale is not None
        f = (theta @ phi.T * net.block.log_scale.exp()).exp()
        y = (f / f.sum(1, keepdim=True)) @ g
        x = x + net.block.out(y.T.reshape(1, -1, 5, 7))
        for part in net.second:
            x = x + part.b(part.a(x).relu())
        wanted = noisy - F.pixel_shuffle(net.tail(x + low), 2)
        torch.testing.assert_close(net(noisy, sigma), wanted, atol=2e-5, rtol=1e-4)


def test_each_picture_of_a_batch_has_its_own_noise_level() -> None:
    net = DenoisingNet("nonlocal").eval()
    x, sigma = torch.rand(2, 3, 8, 12), torch.tensor([0.02, 0.2])
    with torch.no_grad():
        both = net(x, sigma)
        for i in range(2):
            alone = net(x[i : i + 1], sigma[i : i + 1])
            torch.testing.assert_close(both[i : i + 1], alone, atol=1e-5, rtol=1e-5)
            told_else = net(x[i : i + 1], sigma[1 - i : 2 - i])
            assert not torch.allclose(alone, told_else, atol=1e-4)


def test_capture_reads_the_block() -> None:
    torch.manual_seed(2)
    net = DenoisingNet("nonlocal").eval()
    picture = np.random.default_rng(0).integers(0, 255, (1, 24, 36, 3), np.uint8)
    spec = InputSpec(sides=(24, 36), mean=(0, 0, 0), std=(255, 255, 255), layout="frames")
    clip = nlviz.Clip.from_frames(picture)
    capture = nlviz.capture(AtOneLevel(net, 0.1), clip, input_spec=spec)
    (affinity,) = capture.affinities.values()
    assert affinity.queries.shape == (1, 12, 18)
    assert affinity.queries.centre(0) == (0.0, 0.5, 0.5)
    x = torch.from_numpy(picture).permute(0, 3, 1, 2).float() / 255
    with torch.no_grad():
        theta, phi, _ = net.block.embed(net.features(x, torch.tensor([0.1]))[1])  # type: ignore[operator]
    rows = (theta @ phi.mT * net.block.logit_scale()).softmax(-1)[0]  # type: ignore[operator]
    torch.testing.assert_close(affinity.rows([5, 100]), rows[:, [5, 100]], atol=1e-6, rtol=1e-4)


def test_another_kind_is_refused() -> None:
    with pytest.raises(NlvizError, match="is local or nonlocal, got 'global'"):
        DenoisingNet("global")  # type: ignore[arg-type]
