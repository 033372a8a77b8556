"""Where the cells of a trunk's features lie in its input."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nlviz.affinity.grid import Axis
from nlviz.networks.followed import NotFollowed
from nlviz.networks.places import Cells, NoLattice, lattice
from nlviz.networks.where_cells_lie import Walk, measured


@torch.no_grad()
def features_cells(trunk: nn.Module, clip: Float[Tensor, "1 channels t h w"]) -> Cells:
    """Return where the cells of a trunk's features lie in its input.

    Exact where the trunk can be followed on positions; else measured by its gradients; evenly
    spread where these do not say it. The trunk is left as it was.

    >>> features_cells(nn.Conv3d(3, 5, (1, 4, 4), stride=(1, 4, 4)), torch.zeros(1, 3, 2, 8, 12)).y
    Axis(stride=4.0, origin=1.5)
    """
    whole = nn.Sequential(trunk, nn.Identity())
    size = (int(clip.shape[2]), int(clip.shape[3]), int(clip.shape[4]))
    clip = torch.zeros_like(clip, dtype=torch.float32)

    def evenly() -> Cells:
        shape = tuple(trunk(clip).shape[2:])
        t, y, x = (Axis(n / m, (n / m - 1) / 2) for n, m in zip(size, shape, strict=True))
        return Cells((shape[0], shape[1], shape[2]), t, y, x)

    try:
        walk = Walk(whole, whole, clip, {"features": whole[1]})
        return lattice(walk.places(lambda calls: calls["features"].args[0][0]), size)
    except (NotFollowed, NoLattice):
        clip = torch.rand_like(clip)
        found = measured(whole, whole, clip, whole[1], lambda args: args[0][0])
        return evenly() if found is None else found
