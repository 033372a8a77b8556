"""Encoder and causal decoder over sequences of symbols, in MUSE's layers or in plain ones.

A network takes one line of tokens: the source, ``|``, the target so far (see ``tasks``). The
encoder reads what stands before the separator; the decoder starts on it and sees the source by
cross-attention alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from nlviz.networks.sequence.layers import KERNELS, Layer
from nlviz.networks.sequence.positions import WIDTH, source_places, target_places
from nlviz.networks.sequence.tasks import KEYS, VALUES, Task, TaskName, task_named

Kind = Literal["muse", "transformer"]


@dataclass(frozen=True)
class Size:
    """How large a network is.

    Attributes:
        channels, heads: of every layer.
        encoder, decoder: number of layers.
        inner: channels inside the feed-forward networks.
    """

    channels: int = 32
    heads: int = 2
    encoder: int = 2
    decoder: int = 1
    inner: int = 48

    @property
    def twin(self) -> Size:
        """Size of a plain Transformer of as many parameters as MUSE has at this one.

        Wider feed-forward networks make up for what MUSE has and it has not: W_2, the maps of the
        kernels and alpha, less the norm before the feed-forward network.
        """
        c, taps = self.channels, self.heads * sum(KERNELS)
        more = c * c + taps * (c + 1) + len(KERNELS) - 2 * c
        return replace(self, inner=self.inner + round(more / (2 * c + 1)))


class Transduction(nn.Module):
    """Encoder and decoder of one task.

    Args:
        task: its name.
        kind: ``muse``, or ``transformer`` for the plain one.
        size: how large it is; by default both kinds have as many parameters.

    >>> net = Transduction("reverse", "muse").eval()
    >>> line = torch.tensor([net.task.ids("deab|ba")])
    >>> net(line).shape  # at |, b and a: what comes next
    torch.Size([1, 3, 17])
    """

    def __init__(self, task: TaskName, kind: Kind, size: Size | None = None) -> None:
        super().__init__()
        if size is None:
            size = Size() if kind == "muse" else Size().twin
        self.task: Task = task_named(task)
        self.kind, self.size = kind, size
        kernels = KERNELS if kind == "muse" else ()
        tokens = len(self.task.symbols) + 1
        self.symbols = nn.Embedding(tokens, size.channels)
        self.places = nn.Linear(WIDTH, size.channels, bias=False)
        self.encoder = nn.ModuleList(
            Layer(size.channels, size.heads, size.inner, kernels=kernels)
            for _ in range(size.encoder)
        )
        self.encoder_norm = nn.LayerNorm(size.channels)
        self.decoder = nn.ModuleList(
            Layer(size.channels, size.heads, size.inner, kernels=kernels, decoder=True)
            for _ in range(size.decoder)
        )
        self.decoder_norm = nn.LayerNorm(size.channels)
        self.head = nn.Linear(size.channels, tokens)

    def forward(self, line: Int[Tensor, "1 tokens"]) -> Float[Tensor, "1 m symbols"]:
        """Return the logits of the next symbol at the separator and behind it.

        Raises:
            NlvizError: when the line has no separator, or nothing before it.
        """
        cut = self.task.cut(line)
        return self.logits(line[:, :cut], line[:, cut:])

    def logits(
        self,
        source: Int[Tensor, "batch n"],
        given: Int[Tensor, "batch m"],
        moved: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch m symbols"]:
        """Return the logits of the next symbol at each place of the target.

        Args:
            source: ids of the sources.
            given: ids of the targets so far, the separator first.
            moved: by how many places each sequence is moved on in training; not at all by default.
        """
        return self.decoded(given, self.encoded(source, moved), moved)

    def encoded(
        self, source: Int[Tensor, "batch n"], moved: Float[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "batch n channels"]:
        """Return what the decoder sees of the sources."""
        x = self.symbols(source) + self.places(
            source_places(source.shape[1], self._moved(source, moved))
        )
        for layer in self.encoder:
            x = layer(x)
        found: Tensor = self.encoder_norm(x)
        return found

    def decoded(
        self,
        given: Int[Tensor, "batch m"],
        memory: Float[Tensor, "batch n channels"],
        moved: Float[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch m symbols"]:
        """Return the logits of the next symbol at each place of the targets so far."""
        y = self.symbols(given) + self.places(
            target_places(given.shape[1], self._moved(given, moved))
        )
        for layer in self.decoder:
            y = layer(y, memory)
        found: Tensor = self.head(self.decoder_norm(y))
        return found

    @torch.no_grad()
    def written(self, source: Sequence[int], given: Sequence[int], *, most: int) -> list[int]:
        """Return what the network writes to a source, symbol after symbol, the likeliest each time.

        Recall is asked for each letter in turn and writes the likeliest digit behind it; other
        tasks go on until the network writes the separator, which is left out.

        Args:
            source: ids.
            given: ids of what stands behind the separator already; of recall the letters.
            most: symbols at most, where the network writes no end.
        """
        device = self.head.weight.device
        memory = self.encoded(torch.tensor([list(source)], device=device))
        line = [self.task.separator]

        def following() -> Tensor:
            return self.decoded(torch.tensor([line], device=device), memory)[0, -1]

        if self.task.asks:
            first = len(KEYS)  # of the digits
            for letter in given:
                line.append(letter)
                line.append(first + int(following()[first : first + len(VALUES)].argmax()))
            return line[1:]
        line += given
        while len(line) <= most and (symbol := int(following().argmax())) != self.task.separator:
            line.append(symbol)
        return line[1:]

    @staticmethod
    def _moved(ids: Tensor, moved: Tensor | None) -> Tensor:
        return torch.zeros(len(ids), device=ids.device) if moved is None else moved
