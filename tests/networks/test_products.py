"""y = f g / C without the matrix, against the matrix in float64."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from nlviz.errors import NlvizError
from nlviz.networks.products import (
    concatenation_product,
    dot_product_product,
    max_pool,
    softmax_product,
)
from tests.reference import affinity_rows

PRODUCTS: dict[str, Callable[..., Tensor]] = {
    "embedded_gaussian": softmax_product,
    "dot_product": dot_product_product,
}


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def exact_concatenation(a: Tensor, b: Tensor, g: Tensor) -> Tensor:
    a, b, g = a.double(), b.double(), g.double()
    return (a + b.mT).relu() @ g / b.shape[-2]


@pytest.mark.parametrize("name", PRODUCTS)
@pytest.mark.parametrize(("d", "dv"), [(5, 5), (3, 8), (8, 3)])
@pytest.mark.parametrize("scale", [1.0, 0.2])
def test_products_equal_rows_times_values(name: str, d: int, dv: int, scale: float) -> None:
    theta, phi, g = random(2, 3, 7, d), random(2, 3, 11, d, seed=1), random(2, 3, 11, dv, seed=2)
    want = np.stack(
        [
            affinity_rows(name, theta[i], phi[i], scale=scale) @ g[i].double().numpy()
            for i in range(2)
        ]
    )
    got = PRODUCTS[name](theta, phi, g, scale=scale)
    assert got.shape == (2, 3, 7, dv)
    np.testing.assert_allclose(got.numpy(), want, rtol=2e-5, atol=2e-6)
    learned = PRODUCTS[name](theta, phi, g, scale=torch.tensor(scale))
    np.testing.assert_allclose(learned.numpy(), want, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (1, 9), (9, 1), (7, 11), (64, 16)])
def test_concatenation_equals_rows_times_values(queries: int, keys: int) -> None:
    a, b, g = random(2, 2, queries, 1), random(2, 2, keys, 1, seed=1), random(2, 2, keys, 4, seed=2)
    want = np.stack(
        [affinity_rows("concatenation", a[i], b[i]) @ g[i].double().numpy() for i in range(2)]
    )
    np.testing.assert_allclose(concatenation_product(a, b, g).numpy(), want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("offset", [0.0, 50.0, 5000.0])
@pytest.mark.parametrize("ties", [False, True])
def test_concatenation_keeps_six_digits_under_offsets_and_ties(offset: float, ties: bool) -> None:
    a, b = random(1, 1, 300, 1), random(1, 1, 200, 1, seed=1)
    if ties:  # knots that repeat, and queries exactly on a knot
        a, b = (a * 4).round() / 4, (b * 4).round() / 4
    a, b = a + offset, b - offset
    g = random(1, 1, 200, 16, seed=2)
    want = exact_concatenation(a, b, g)
    got = concatenation_product(a, b, g)
    assert float((got - want).abs().max() / want.abs().max()) <= 1e-6


def test_concatenation_without_a_positive_pair_is_zero() -> None:
    a, b = random(1, 1, 5, 1) - 100, random(1, 1, 6, 1)
    assert torch.equal(concatenation_product(a, b, random(1, 1, 6, 3)), torch.zeros(1, 1, 5, 3))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_concatenation_in_half_precision_loses_no_more_than_its_input(dtype: torch.dtype) -> None:
    a, b, g = (
        t.to(dtype)
        for t in (random(1, 1, 300, 1), random(1, 1, 3000, 1, seed=1), random(1, 1, 3000, 4))
    )
    got, want = concatenation_product(a, b, g), exact_concatenation(a, b, g)
    assert got.dtype == dtype
    assert float((got.double() - want).abs().max() / want.abs().max()) <= 1e-2


@pytest.mark.parametrize("name", [*PRODUCTS, "concatenation"])
def test_gradients_are_those_of_the_formula(name: str) -> None:
    d = 1 if name == "concatenation" else 3
    theta, phi, g = (
        random(*shape, seed=i, dtype=torch.double).requires_grad_()
        for i, shape in enumerate([(2, 1, 4, d), (2, 1, 5, d), (2, 1, 5, 3)])
    )

    def fast(theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
        if name == "concatenation":
            return concatenation_product(theta, phi, g)
        return PRODUCTS[name](theta, phi, g, scale=0.7)

    def plain(theta: Tensor, phi: Tensor, g: Tensor) -> Tensor:
        if name == "concatenation":
            return (theta + phi.mT).relu() @ g / phi.shape[-2]
        f = theta @ phi.mT * 0.7
        return (f / phi.shape[-2] if name == "dot_product" else f.softmax(-1)) @ g

    assert torch.autograd.gradcheck(fast, (theta, phi, g))
    weight = random(*fast(theta, phi, g).shape, seed=9, dtype=torch.double)
    mine = torch.autograd.grad((fast(theta, phi, g) * weight).sum(), (theta, phi, g))
    reference = torch.autograd.grad((plain(theta, phi, g) * weight).sum(), (theta, phi, g))
    for ours, theirs in zip(mine, reference, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.gpu
def test_products_on_a_gpu_equal_the_cpu() -> None:
    theta, phi, g = (
        random(1, 1, 300, 32),
        random(1, 1, 200, 32, seed=1),
        random(1, 1, 200, 16, seed=2),
    )
    for product in PRODUCTS.values():
        want = product(theta, phi, g, scale=0.3)
        got = product(theta.cuda(), phi.cuda(), g.cuda(), scale=0.3).cpu()
        torch.testing.assert_close(got, want, rtol=1e-3, atol=1e-4)
    a, b = theta[..., :1], phi[..., :1]
    torch.testing.assert_close(
        concatenation_product(a.cuda(), b.cuda(), g.cuda()).cpu(), concatenation_product(a, b, g)
    )


@pytest.mark.parametrize(
    ("kernel", "stride", "pad"),
    [
        ((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        ((2, 3, 3), (2, 2, 2), (0, 0, 0)),
        ((1, 3, 3), (2, 2, 2), (0, 1, 1)),
        ((2, 1, 1), (2, 1, 1), (0, 0, 0)),
        ((1, 2, 2), (1, 2, 2), (0, 0, 0)),
        ((3, 5, 4), (1, 3, 2), (1, 2, 1)),
        ((2, 2, 2), (2, 2, 2), (1, 1, 1)),
        ((1, 1, 1), (1, 1, 1), (0, 0, 0)),
    ],
)
@pytest.mark.parametrize("grid", [(4, 11, 13), (5, 12, 10), (3, 5, 8)])
def test_max_pooling_is_torchs(
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    pad: tuple[int, ...],
    grid: tuple[int, ...],
) -> None:
    x = random(2, 3, *grid) - 3.0  # what is padded with zeros would show
    before = x.clone()
    want = F.max_pool3d(x, kernel, stride, pad)
    assert torch.equal(max_pool(x, kernel, stride, pad), want)
    assert torch.equal(x, before)
    wanted = x.clone().requires_grad_()
    max_pool(wanted, kernel, stride, pad).sum().backward()
    expected = x.clone().requires_grad_()
    F.max_pool3d(expected, kernel, stride, pad).sum().backward()
    assert torch.equal(wanted.grad, expected.grad)
    channels_last = x.contiguous(memory_format=torch.channels_last_3d)
    assert torch.equal(max_pool(channels_last, kernel, stride, pad), want)


def test_max_pooling_of_one_and_two_dimensions() -> None:
    x = random(2, 3, 9, 7)
    assert torch.equal(max_pool(x, (2, 2)), F.max_pool2d(x, 2))
    assert torch.equal(max_pool(x[:, :, :, 0], (3,), (2,), (1,)), F.max_pool1d(x[..., 0], 3, 2, 1))
    x[0, 1, 4, 2] = torch.nan
    assert torch.equal(max_pool(x, (2, 2)).isnan(), F.max_pool2d(x, 2).isnan())
    with pytest.raises(NlvizError, match="windows of 5 do not fit into 3 cells"):
        max_pool(x[:, :, :3], (5, 1))
