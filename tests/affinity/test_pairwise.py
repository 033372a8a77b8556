"""The pairwise functions against loops in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nlviz.affinity.pairwise import OF_GRAPHS, PAIRWISE_NAMES, Pairwise
from nlviz.errors import NlvizError
from tests.reference import affinity_rows


@pytest.mark.parametrize("name", [n for n in PAIRWISE_NAMES if n not in OF_GRAPHS])
@pytest.mark.parametrize("scale", [1.0, 0.37])
def test_rows_equal_the_formulas(name: str, scale: float) -> None:
    rng = np.random.default_rng(1)
    d = 1 if name == "concatenation" else 5
    theta, phi = rng.normal(size=(3, 7, d)), rng.normal(size=(3, 11, d))
    if name == "cosine":  # of vectors of unit length
        theta, phi = (x / np.linalg.norm(x, axis=-1, keepdims=True) for x in (theta, phi))
    f = Pairwise(name, scale)
    rows = f.normalise(f.logits(torch.from_numpy(theta), torch.from_numpy(phi)))
    np.testing.assert_allclose(
        rows.numpy(), affinity_rows(name, theta, phi, scale=scale), rtol=1e-12, atol=1e-15
    )


@pytest.mark.parametrize("name", PAIRWISE_NAMES)
def test_unreachable_keys_are_zero_and_do_not_count(name: str) -> None:
    logits = torch.tensor([[1.0, -torch.inf, 3.0], [-torch.inf] * 3])
    rows = Pairwise(name).normalise(logits)
    assert rows[0, 1] == 0
    assert rows[1].tolist() == [0.0, 0.0, 0.0]
    if Pairwise(name).softmax:
        assert rows[0].sum() == pytest.approx(1)
    elif name == "cosine":  # no more than 1, which is shared out over nothing
        assert rows[0].tolist() == [1.0, 0.0, 1.0]
    else:
        assert rows[0].tolist() == [0.5, 0.0, 1.5]


@pytest.mark.parametrize("name", PAIRWISE_NAMES)
def test_a_broken_network_stays_visibly_broken(name: str) -> None:
    rows = Pairwise(name).normalise(torch.tensor([[torch.nan, 1.0, 2.0]]))
    assert rows.isnan().any()


def test_large_logits_do_not_overflow() -> None:
    rows = Pairwise("embedded_gaussian").normalise(torch.tensor([[4000.0, 3999.0, -4000.0]]))
    assert rows.isfinite().all()
    assert rows[0, 0] == pytest.approx(1 / (1 + np.exp(-1)), rel=1e-6)


@pytest.mark.parametrize("name", PAIRWISE_NAMES)
def test_rows_can_be_differentiated(name: str) -> None:
    d = 1 if name == "concatenation" else 3
    generator = torch.Generator().manual_seed(0)
    theta, phi = (
        torch.randn(n, d, dtype=torch.double, generator=generator, requires_grad=True)
        for n in (4, 5)
    )
    f = Pairwise(name, 1.3)
    assert torch.autograd.gradcheck(lambda a, b: f.normalise(f.logits(a, b)), (theta, phi))


def test_scaling_does_not_write_into_theta() -> None:
    theta, phi = torch.ones(2, 3), torch.ones(4, 3)
    Pairwise("gaussian", 2.0).logits(theta, phi)
    assert torch.equal(theta, torch.ones(2, 3))
    assert torch.equal(phi, torch.ones(4, 3))


def test_which_rows_are_signed_and_which_sum_to_one() -> None:
    assert [n for n in PAIRWISE_NAMES if Pairwise(n).signed] == [
        "dot_product",
        "cosine",
        "effective_operator",
    ]
    assert {n for n in PAIRWISE_NAMES if Pairwise(n).softmax} == {
        "gaussian",
        "embedded_gaussian",
        "nl_means",
        "bilateral",
        "graph_attention",
        "graph_attention_v2",
    }


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(NlvizError, match=r"embedded_gaussian.*got 'softmax'"):
        Pairwise("softmax")  # type: ignore[arg-type]
