"""Non-local blocks of dimension 1 over sequences: four pairwise functions, one tower each.

Wang et al. 2018 (arXiv 1711.07971), section 3.2: gaussian, embedded gaussian, dot product and
concatenation. The towers share what enters them, the embedded line, and nothing else; each has its
own head, so that the same input shows what each f made of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nlviz.affinity.pairwise import OF_BLOCKS, PairwiseName
from nlviz.errors import NlvizError
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.sequence.positions import WIDTH, source_places, target_places
from nlviz.networks.sequence.tasks import Task, TaskName, task_named


@dataclass(frozen=True)
class TowerSize:
    """How large a tower is.

    Attributes:
        channels: of the line.
        embedded: channels of theta, phi and g.
        blocks: non-local blocks, one behind the other.
        inner: channels inside the pointwise network behind each block.
    """

    channels: int = 32
    embedded: int = 24
    blocks: int = 1
    inner: int = 32


class Tower(nn.Module):
    """Non-local blocks of one f, each between a pointwise layer and a pointwise network."""

    def __init__(self, pairwise: PairwiseName, tokens: int, size: TowerSize) -> None:
        super().__init__()
        c = size.channels
        self.before = nn.ModuleList(
            nn.Sequential(_Norm(c), nn.Conv1d(c, c, 1)) for _ in range(size.blocks)
        )
        self.blocks = nn.ModuleList(
            NonLocalBlock(
                c, dimension=1, pairwise=pairwise, inner=size.embedded, scale=True, norm=False
            )
            for _ in range(size.blocks)
        )
        self.behind = nn.ModuleList(
            nn.Sequential(
                _Norm(c), nn.Conv1d(c, size.inner, 1), nn.ReLU(), nn.Conv1d(size.inner, c, 1)
            )
            for _ in range(size.blocks)
        )
        self.head = nn.Sequential(_Norm(c), nn.Conv1d(c, tokens, 1))

    def forward(self, x: Float[Tensor, "batch channels n"]) -> Float[Tensor, "batch symbols n"]:
        """Return logits at every token."""
        for before, block, behind in zip(self.before, self.blocks, self.behind, strict=True):
            x = block(before(x))
            x = x + behind(x)
        found: Tensor = self.head(x)
        return found


class NonLocal1d(nn.Module):
    """Four towers on one task; every token of the line sees every other, in both directions.

    Where the encoder and decoder write symbol after symbol, this network writes all at once: behind
    the separator stands a blank ``.`` for each symbol, or of recall the letters that are asked for.

    >>> net = NonLocal1d("reverse").eval()
    >>> line = torch.tensor([[*net.task.ids("deab|"), *[net.task.blank] * 4]])
    >>> {name: logits.shape[1:] for name, logits in net.by_pairwise(line).items()}["gaussian"]
    torch.Size([4, 17])
    """

    def __init__(self, task: TaskName, size: TowerSize | None = None) -> None:
        super().__init__()
        size = TowerSize() if size is None else size
        self.task: Task = task_named(task)
        self.size = size
        self.symbols = nn.Embedding(len(self.task.tokens), size.channels)
        self.places = nn.Linear(WIDTH, size.channels, bias=False)
        tokens = len(self.task.symbols) + 1
        self.towers = nn.ModuleDict({name: Tower(name, tokens, size) for name in OF_BLOCKS})

    def forward(self, line: Int[Tensor, "1 tokens"]) -> Float[Tensor, "1 m symbols"]:
        """Return the logits behind the separator, those of the four towers averaged.

        Raises:
            NlvizError: when the line is none, or nothing stands behind the separator.
        """
        return torch.stack(list(self.by_pairwise(line).values())).mean(0)

    def by_pairwise(self, line: Int[Tensor, "1 tokens"]) -> dict[str, Tensor]:
        """Return the logits behind the separator of each tower, (1, m, tokens)."""
        cut = self.task.cut(line)
        if cut == line.shape[1] - 1:
            raise NlvizError(
                "this network writes all symbols at once, one at each token behind the separator; "
                "there is none"
            )
        return self.logits(line[:, :cut], line[:, cut + 1 :])

    def logits(
        self,
        source: Int[Tensor, "batch n"],
        asked: Int[Tensor, "batch m"],
        moved: Float[Tensor, " batch"] | None = None,
    ) -> dict[str, Float[Tensor, "batch m symbols"]]:
        """Return the logits of each tower at the tokens that ask.

        Args:
            source: ids of the sources.
            asked: ids of what asks for a symbol each.
            moved: by how many places each sequence is moved on in training; not at all by default.
        """
        batch, n, m = len(source), source.shape[1], asked.shape[1]
        moved = torch.zeros(batch, device=source.device) if moved is None else moved
        cut = torch.full((batch, 1), self.task.separator, device=source.device)
        places = source_places(n, moved), torch.zeros(batch, 1, WIDTH, device=source.device)
        code = torch.cat([*places, target_places(m, moved)], 1)
        x = (self.symbols(torch.cat([source, cut, asked], 1)) + self.places(code)).mT
        return {name: tower(x)[..., n + 1 :].mT for name, tower in self.towers.items()}


class _Norm(nn.LayerNorm):
    """Layer normalisation of channels that come first."""

    def forward(self, x: Float[Tensor, "batch channels n"]) -> Float[Tensor, "batch channels n"]:
        """Return each token normed over its channels."""
        return super().forward(x.mT).mT
