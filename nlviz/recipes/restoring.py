"""Second stage of the recipe: what the block adds to the features.

theta and phi are kept, so the rows A are fixed and z = x + W_z (g (A x)) is linear in the rest:
the g and W_z that bring z nearest to the clean features have a closed form, the ridge regression of
(clean - x) on A x. The per-position control is the same regression on x itself: the same
bottleneck, looking at its own position only. Every claim about the block has to beat it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from nlviz.networks.block import NonLocalBlock

# (inputs, target), both (T, C, h, w) float16
Pair = tuple[Tensor, Tensor]


class Linear(NamedTuple):
    """A map of features at one position: ``features @ weight.T + bias``."""

    weight: Tensor
    bias: Tensor


def regress(
    pairs: Iterable[tuple[Tensor, Tensor, float]],
    see: Callable[[Tensor], Tensor],
    *,
    ridge: float = 1e-3,
) -> Linear:
    """Return the linear map of what is seen that comes nearest to (target - input).

    Args:
        pairs: inputs, targets and the weights of their errors.
        see: what the map may look at: (T, C, h, w) to (T * h * w, C).
        ridge: part of the mean variance added to the diagonal.
    """
    gram = moment = torch.zeros(0)
    for x, target, weight in pairs:
        looked = see(x.float()).cpu().double()
        ones = torch.ones(len(looked), 1, dtype=torch.double)
        design = torch.cat([looked, ones], dim=1)
        wanted = cells(target.float() - x.float()).double()
        gram = weight * design.T @ design + (gram if gram.numel() else 0.0)
        moment = weight * design.T @ wanted + (moment if moment.numel() else 0.0)
    damp = ridge * gram.diagonal()[:-1].mean() * torch.ones(len(gram), dtype=torch.double)
    damp[-1] = 0.0
    solved = torch.linalg.solve(gram + torch.diag(damp), moment).float()
    return Linear(solved[:-1].T.contiguous(), solved[-1].contiguous().clone())


@torch.no_grad()
def put_into(block: NonLocalBlock, restored: Linear) -> None:
    """Make g the identity and W_z the regression."""
    g, out = cast(nn.Conv3d, block.g), cast(nn.Conv3d, block.out)
    g.weight.copy_(torch.eye(len(g.weight)).view_as(g.weight))
    cast(Tensor, g.bias).zero_()
    out.weight.copy_(restored.weight.view_as(out.weight))
    cast(Tensor, out.bias).copy_(restored.bias)


def gathering(block: NonLocalBlock) -> Callable[[Tensor], Tensor]:
    """Return x -> A x, what the block's rows gather from all frames."""

    @torch.no_grad()
    def see(x: Tensor) -> Tensor:
        moved = x.to(next(block.parameters()).device).transpose(0, 1)[None]
        theta, phi, _ = block.embed(moved)
        values = moved.flatten(2).mT[:, None]
        gathered: Tensor = block.attend(theta, phi, values, block.logit_scale())[0, 0]
        return gathered

    return see


def cells(x: Tensor) -> Tensor:
    """(T, C, h, w) to (T * h * w, C)."""
    return x.permute(0, 2, 3, 1).flatten(0, 2)


def remaining_error(
    pairs: Iterable[Pair], restored: Linear | None, see: Callable[[Tensor], Tensor] = cells
) -> float:
    """Return ||restored - target||^2 / ||target - mean target||^2 over all pairs.

    >>> pair = (torch.ones(1, 2, 3, 3), torch.rand(1, 2, 3, 3))
    >>> remaining_error([pair], regress([(*pair, 1.0)], cells)) < remaining_error([pair], None)
    True
    """
    wrong = total = 0.0
    for x, target in pairs:
        wanted, got = cells(target.float()), cells(x.float())
        if restored is not None:
            got = got + see(x.float()).cpu() @ restored.weight.T + restored.bias
        wrong += float((got - wanted).square().sum())
        total += float((wanted - wanted.mean(0)).square().sum())
    return wrong / total
