"""A small network of words as a user has one: a module whose function builds it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import nlviz

KNOWN = tuple("the dog cat ball saw sees and then it ran runs a . , ?".split())
MOST = 24  # words
C, HEADS = 12, 3


class Words(nn.Module):
    """Two encoder layers over words, and scores of three answers."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.at = nn.Embedding(len(KNOWN), C), nn.Embedding(MOST, C)
        layer = nn.TransformerEncoderLayer(C, HEADS, 20, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(C, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.words(tokens) + self.at(torch.arange(tokens.shape[1]))
        return self.head(self.layers(x).mean(1))


def ids(text: nlviz.Text) -> Tensor:
    """Return the numbers of the words of a text; one that is not known is refused."""
    tokens = [word.lower() for word in text.tokens]
    unknown = sorted({word for word in tokens if word not in KNOWN})
    if unknown:
        raise nlviz.NlvizError(
            f"{', '.join(unknown[:5])} is no symbol of this network; it knows {' '.join(KNOWN)}"
        )
    if len(tokens) > MOST:
        raise nlviz.NlvizError(
            f"this network reads at most {MOST} words, the text has {len(tokens)}; take a part"
        )
    return torch.tensor([[KNOWN.index(word) for word in tokens]])


def build() -> nlviz.Model:
    """Return the network, ready for a text."""
    torch.manual_seed(1)
    return nlviz.Model(Words().eval(), prepare=ids, labels=("yes", "no", "maybe"))
