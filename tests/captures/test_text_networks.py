"""Networks of words and of time steps: their attention laid on the text, whoever wrote them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import nlviz
from nlviz.affinity.causal import Causal
from nlviz.affinity.token_line import TokenLine
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.clips.text import Text, read_text
from nlviz.errors import NlvizError
from nlviz.networks.block import NonLocalBlock

TEXT = read_text("the dog saw the ball and then the cat saw it")  # 11 tokens
N, WORDS, HEADS, D = len(TEXT.tokens), 19, 3, 4
C = HEADS * D


def ids(text: Clip, *, more: int = 0) -> Tensor:
    assert isinstance(text, Text)
    return torch.tensor(
        [[(5 * len(word) + i + more) % WORDS for i, word in enumerate(text.tokens)]]
    )


class Attention(nn.Module):
    """Written out, so that its weights can be seen."""

    def __init__(self, causal: bool = False, window: int = 0, bias: str = "") -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.causal, self.window, self.bias = causal, window, bias
        self.seen = torch.zeros(0)

    def forward(self, x: Tensor) -> Tensor:
        b, n, _ = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, HEADS, D).permute(2, 0, 3, 1, 4)
        logits = q @ k.transpose(-1, -2) / math.sqrt(D)
        apart = torch.arange(n)[:, None] - torch.arange(n)
        if self.bias == "alibi":
            slopes = torch.tensor([0.5, 0.25, 0.125])[:, None, None]
            logits = logits - slopes * apart.abs()
        if self.causal:
            logits = logits.masked_fill(apart < 0, -torch.inf)
        if self.window:
            logits = logits.masked_fill(apart >= self.window, -torch.inf)
        weights = logits.softmax(-1)
        if type(weights) is Tensor:
            self.seen = weights.detach()
        return self.out((weights @ v).transpose(1, 2).reshape(b, n, C))


class Words(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.words, self.at = nn.Embedding(WORDS, C), nn.Embedding(64, C)
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(C, WORDS)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.words(tokens) * math.sqrt(C) + self.at(torch.arange(tokens.shape[1]))
        for layer in self.layers:
            x = x + layer(x)
        return self.head(x)


def captured(net: nn.Module, text: Clip = TEXT, **more: Any) -> nlviz.Capture:
    torch.manual_seed(3)
    return nlviz.capture(net.eval(), text, prepare=more.pop("prepare", ids), **more)


def test_rows_are_those_of_the_network_and_words_are_its_tokens() -> None:
    net = Words(Attention(), Attention(bias="alibi"))
    found = captured(net)
    assert found.text is found.clip
    for i, layer in enumerate(net.layers):
        a = found.affinities[f"layers.{i}"]
        assert isinstance(a.queries, TokenLine)
        assert isinstance(a.keys, TokenLine)
        assert a.queries.words == TEXT.tokens
        assert a.queries.spans == TEXT.spans
        wanted = layer.seen[0]
        assert torch.allclose(a.rows(range(N)), wanted, atol=1e-5)
        row = a.map(token="ball", head=2)
        assert np.allclose(row.weights[0, 0], wanted[2, 4], atol=1e-5)
        assert [link.name for link in row.top(1)] == [TEXT.tokens[int(wanted[2, 4].argmax())]]


@pytest.mark.parametrize("window", [0, 4])
def test_causal_rows_reach_what_comes_before(window: int) -> None:
    net = Words(Attention(causal=True, window=window))
    a = captured(net).affinities["layers.0"]
    assert a.support == Causal(nearest=window or None)
    assert torch.allclose(a.rows(range(N)), net.layers[0].seen[0], atol=1e-5)
    reached = a.map(token="ball").reachable
    assert reached is not None
    assert reached.sum() == (window or 5)


def test_a_fused_causal_kernel_is_read_too() -> None:
    class Fused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.qkv = nn.Linear(C, 3 * C)

        def forward(self, x: Tensor) -> Tensor:
            q, k, v = self.qkv(x).reshape(1, -1, 3, HEADS, D).permute(2, 0, 3, 1, 4)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
            return y.transpose(1, 2).reshape(1, -1, C)

    net = Words(Fused())
    a = captured(net).affinities["layers.0"]
    x = net.words(ids(TEXT)) * math.sqrt(C) + net.at(torch.arange(N))
    q, k, _ = net.layers[0].qkv(x).reshape(1, N, 3, HEADS, D).permute(2, 0, 3, 1, 4)
    logits = q @ k.mT / math.sqrt(D)
    wanted = logits.masked_fill(torch.ones(N, N).triu(1).bool(), -torch.inf).softmax(-1)[0]
    assert a.support == Causal()
    assert torch.allclose(a.rows(range(N)), wanted, atol=1e-5)


def test_source_and_target_are_parts_of_one_text() -> None:
    torch.manual_seed(5)
    source, target = read_text("a dog saw the ball"), "un chien vit la balle ronde".split()
    both = Text.of_tokens([*source.tokens, *target])

    class Translator(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(WORDS, C)
            self.body = nn.Transformer(C, 2, 1, 1, 7, batch_first=True)

        def forward(self, src: Tensor, tgt: Tensor) -> Tensor:
            mask = nn.Transformer.generate_square_subsequent_mask(tgt.shape[1])
            return self.body(self.words(src), self.words(tgt), tgt_mask=mask)

    def prepare(text: Clip) -> nlviz.TextInput:
        src, tgt = ids(source), ids(Text.of_tokens(target), more=2)
        return nlviz.TextInput(kwargs={"src": src, "tgt": tgt}, text=both)

    net = Translator()
    found = captured(net, source, prepare=prepare)
    cross = next(a for n, a in found.affinities.items() if "multihead_attn" in n)
    assert isinstance(cross.queries, TokenLine)
    assert isinstance(cross.keys, TokenLine)
    assert cross.queries.words == tuple(target)
    assert cross.keys.words == source.tokens
    assert cross.queries.centre(0).x == 5
    own = next(a for n, a in found.affinities.items() if "decoder" in n and "self_attn" in n)
    assert own.support == Causal()
    assert (own.queries.centre(2).x, own.keys.size) == (7, 6)
    assert np.allclose(
        cross.map(token="balle").weights, cross.map(frame=0, y=0, x=9).weights, atol=1e-7
    )


def test_windows_reversal_and_pairs_are_followed() -> None:
    class Turned(nn.Module):
        """Attends in windows of 4 to its tokens in reverse order, padded at the end."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = Attention()

        def forward(self, x: Tensor) -> Tensor:
            x = F.pad(x.flip(1), (0, 0, 0, 1))
            y = self.inner(x.reshape(3, 4, C)).reshape(1, 12, C)
            return y[:, :N].flip(1)

    net = Words(Turned())
    a = captured(net).affinities["layers.0.inner"]
    seen = net.layers[0].inner.seen
    row = a.map(token=10, head=1)  # the last word is the first of its window
    assert np.allclose(row.weights[0, 0, 7:], seen[0, 1, 0].flip(0), atol=1e-5)
    assert row.reachable is not None
    assert row.reachable[0, 0].tolist() == [False] * 7 + [True] * 4

    class Pairs(nn.Module):
        """Keys are means of two tokens."""

        def __init__(self) -> None:
            super().__init__()
            self.q, self.k = nn.Linear(C, D), nn.Linear(C, D)

        def forward(self, x: Tensor) -> Tensor:
            k = F.avg_pool1d(self.k(x).mT, 2).mT
            return ((self.q(x) @ k.mT).softmax(-1) @ k).repeat(1, 1, HEADS)

    a = captured(Words(Pairs())).affinities["layers.0"]
    assert isinstance(a.keys, TokenLine)
    assert a.keys.words == ("the dog", "saw the", "ball and", "then the", "cat saw")
    assert a.queries.size == N


def test_words_by_one_number_of_many_are_found_too() -> None:
    class Hot(nn.Module):
        def __init__(self, how: str) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.randn(WORDS, C))
            self.inner, self.how = Attention(), how

        def forward(self, tokens: Tensor) -> Tensor:
            if self.how == "one hot":
                x = F.one_hot(tokens, WORDS).float() @ self.table
            elif self.how == "index":
                x = self.table[tokens]
            else:
                x = self.table.index_select(0, tokens.flatten())[None]
            return x + self.inner(x)

    for how in ("one hot", "index", "index_select"):
        net = Hot(how)
        a = captured(net).affinities["inner"]
        assert isinstance(a.queries, TokenLine), how
        assert torch.allclose(a.rows([2]), net.inner.seen[0][:, 2:3], atol=1e-5)


def test_what_a_recurrent_layer_gives_stands_at_its_step() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(WORDS, C)
            self.body = nn.LSTM(C, C // 2, bidirectional=True, batch_first=True)
            self.inner = Attention()

        def forward(self, tokens: Tensor) -> Tensor:
            x, _ = self.body(self.words(tokens))
            return self.inner(x)

    net = Recurrent()
    a = captured(net).affinities["inner"]
    assert isinstance(a.queries, TokenLine)
    assert torch.allclose(a.rows([5]), net.inner.seen[0][:, 5:6], atol=1e-5)


def test_time_steps_are_a_line_too() -> None:
    steps = Text.of_tokens([f"{0.5 * i} s" for i in range(7)])
    net = nn.Sequential(nn.Linear(5, C), Attention())
    found = captured(net, steps, prepare=lambda _: torch.randn(1, 7, 5))
    a = found.affinities["1"]
    assert isinstance(a.queries, TokenLine)
    assert a.queries.words[3] == "1.5 s"
    assert torch.allclose(a.rows([3]), net[1].seen[0][:, 3:4], atol=1e-5)


@pytest.mark.parametrize(
    "pairwise", ["gaussian", "embedded_gaussian", "dot_product", "concatenation"]
)
def test_a_block_of_one_dimension_lies_on_the_line(pairwise: Any) -> None:
    class Sequence(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(WORDS, 6)
            self.conv = nn.Conv1d(6, 6, 3, padding=1)
            self.block = NonLocalBlock(6, dimension=1, pairwise=pairwise)

        def forward(self, tokens: Tensor) -> Tensor:
            return self.block(self.conv(self.words(tokens).mT))

    a = captured(Sequence()).affinities["block"]
    assert isinstance(a.queries, TokenLine)
    assert a.queries.words == TEXT.tokens
    assert a.map(token="dog").weights.shape == (1, 1, N)


def test_what_a_network_does_not_take_is_told() -> None:
    net = Words(Attention()).eval()
    with pytest.raises(NlvizError, match="takes no text that is known here"):
        nlviz.capture(net, TEXT)
    with pytest.raises(NlvizError, match="it is given 7 and the text has 11"):
        nlviz.capture(net, TEXT, prepare=lambda _: torch.zeros(1, 7, dtype=torch.long))
    with pytest.raises(NlvizError, match="there is none"):
        nlviz.capture(net, TEXT, prepare=lambda _: ())
    with pytest.raises(NlvizError, match="no text beside the clip"):
        nlviz.load_model("lite-nl").capture(
            Clip.from_frames(np.zeros((1, 64, 64, 3), np.uint8)), text="a"
        )
    model = Model(net, prepare=ids)
    assert model.capture(TEXT).affinities["layers.0"].queries.size == N
    assert model.capture(read_text("another one")).affinities["layers.0"].queries.size == 2


def test_two_texts_of_one_length_keep_their_own_words() -> None:
    model = Model(Words(Attention()).eval(), prepare=ids)
    one, two = (model.capture(read_text(t)) for t in ("a b c d", "e f g h"))
    for found, words in ((one, "abcd"), (two, "efgh")):
        line = found.affinities["layers.0"].keys
        assert isinstance(line, TokenLine)
        assert line.words == tuple(words)


def test_a_causal_mask_beside_a_bias_is_a_rule_too() -> None:
    net = Words(Attention(causal=True, bias="alibi"))
    a = captured(net).affinities["layers.0"]
    assert a.support == Causal()
    assert torch.allclose(a.rows(range(N)), net.layers[0].seen[0], atol=1e-5)


class Additive(nn.Module):
    """Logits of a pair are made of a sum, as by Bahdanau et al. 2015 or in a graph attention."""

    def __init__(self, *, steps: bool) -> None:
        super().__init__()
        self.words, self.step = nn.Embedding(WORDS, C), nn.GRUCell(C, C)
        self.q, self.k, self.v = nn.Linear(C, C), nn.Linear(C, C), nn.Linear(C, 1)
        self.steps = steps
        self.seen = torch.zeros(0)

    def forward(self, tokens: Tensor) -> Tensor:
        x, state, states = self.words(tokens), torch.zeros(1, C), []
        for i in range(x.shape[1] if self.steps else 0):
            state = self.step(x[:, i], state)
            states.append(state)
        h = torch.stack(states, 1) if states else x
        weights = self.v(torch.tanh(self.q(h)[:, :, None] + self.k(h)[:, None]))[..., 0].softmax(-1)
        if type(weights) is Tensor:
            self.seen = weights.detach()
        return h + weights @ h


@pytest.mark.parametrize("steps", [True, False])
def test_additive_attention_has_a_row_for_each_query(steps: bool) -> None:
    net = Additive(steps=steps)
    a = captured(net, family="attention").affinities["network"]
    assert isinstance(a.queries, TokenLine)
    assert a.queries.words == TEXT.tokens
    assert torch.allclose(a.rows(range(N))[0], net.seen[0], atol=1e-5)
    assert a.pairwise.name == "effective_operator"


def test_additive_attention_of_unknown_queries_is_no_global_context() -> None:
    class Last(Additive):
        def forward(self, tokens: Tensor) -> Tensor:
            h = self.words(tokens)
            logits = self.v(torch.tanh(self.q(h[:, -4:])[:, :, None] + self.k(h)[:, None]))
            return logits[..., 0].softmax(-1) @ h

    with pytest.raises(NlvizError, match="where what it computes goes could not be followed"):
        captured(Last(steps=False), family="attention")


def test_cells_between_words_are_called_by_the_word_they_are_centred_at() -> None:
    class Strided(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.inner = nn.Embedding(WORDS, C), Attention()
            self.conv = nn.Conv1d(C, C, 3, stride=2, padding=1)

        def forward(self, tokens: Tensor) -> Tensor:
            return self.inner(self.conv(self.words(tokens).mT).mT)

    line = captured(Strided()).affinities["inner"].keys
    assert isinstance(line, TokenLine)
    assert line.words == TEXT.tokens[::2]
    assert line.centre(2).x == 4


def test_channels_may_come_before_the_steps() -> None:
    class Steps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.inner = nn.Conv1d(5, C, 3, padding=1), Attention()

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(self.conv(x).mT)

    a = captured(Steps(), prepare=lambda _: torch.randn(1, 5, N)).affinities["inner"]
    assert isinstance(a.queries, TokenLine)
    assert a.queries.words == TEXT.tokens


def test_several_texts_side_by_side_are_told() -> None:
    with pytest.raises(NlvizError, match="one text at a time"):
        captured(Words(Attention()), prepare=lambda text: ids(text).repeat(2, 1))


@pytest.mark.parametrize("given", [None, "a dog", np.zeros((1, 9, 9, 3), np.uint8)])
def test_what_is_no_input_is_told(given: Any) -> None:
    with pytest.raises(NlvizError, match=r"given a Clip, a Text or a Graph, got"):
        nlviz.load_model("muse.copy").capture(given)


def test_features_of_words_lie_on_their_own_lines() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.inner = nn.Embedding(WORDS, C), Attention()

        def forward(self, src: Tensor, tgt: Tensor) -> Tensor:
            return self.inner(self.words(tgt)) + self.inner(self.words(src)).mean()

    net = Two().eval()

    def split(first: int) -> Any:
        def prepare(text: Clip) -> dict[str, Tensor]:
            numbers = ids(text)
            return {"src": numbers[:, :first].clone(), "tgt": numbers[:, first:].clone()}

        return prepare

    for first in (3, 6):  # the same network, as many tokens, other lines
        found = nlviz.features(net, TEXT, "inner#1", prepare=split(first))
        assert found.grid.shape == (1, 1, N - first)
        assert found.grid.centre(0).x == first


class Twice(nn.Module):
    """Looks from a target at a source, through copies of their numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.q, self.k = nn.Embedding(WORDS, C), nn.Linear(C, C), nn.Linear(C, C)

    def forward(self, src: Tensor, tgt: Tensor) -> Tensor:
        source, target = self.words(src.clone()), self.words(tgt.clone())
        return target + (self.q(target) @ self.k(source).mT).softmax(-1) @ source


def test_parts_of_the_same_numbers_are_not_taken_for_each_other() -> None:
    half = ids(TEXT)[:, :5]
    both = Text.of_tokens([*TEXT.tokens[:5], *TEXT.tokens[5:10]])

    def prepare(first: Tensor, second: Tensor) -> Any:
        given = {"src": first, "tgt": second}
        return lambda _: nlviz.TextInput(kwargs=given, text=both)

    a = captured(Twice(), prepare=prepare(half, ids(TEXT)[:, 5:10])).affinities["network"]
    assert (a.queries.centre(0).x, a.keys.centre(0).x) == (5, 0)
    with pytest.raises(NlvizError, match="numbers that are those of two parts"):
        captured(Twice(), prepare=prepare(half, half.clone()))


def test_two_rows_of_words_of_one_length_are_asked_about() -> None:
    moved = ids(TEXT).roll(1, 1)
    with pytest.raises(NlvizError, match=r"one of them moved on.*lines="):
        captured(Twice(), prepare=lambda text: (ids(text), moved))
    mask, at = torch.ones(1, N, dtype=torch.long), torch.arange(N)[None]

    class Typed(Words):
        def forward(self, tokens: Tensor, mask: Tensor, at: Tensor) -> Tensor:
            return super().forward(tokens)

    a = captured(Typed(Attention()), prepare=lambda text: (ids(text), mask, at))
    assert a.affinities["layers.0"].queries.size == N


def test_a_last_key_of_fewer_words_is_one_too() -> None:
    class Ceiling(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k = nn.Linear(C, D), nn.Linear(C, D)

        def forward(self, x: Tensor) -> Tensor:
            k = F.avg_pool1d(self.k(x).mT, 2, ceil_mode=True).mT
            return ((self.q(x) @ k.mT).softmax(-1) @ k).repeat(1, 1, HEADS)

    keys = captured(Words(Ceiling())).affinities["layers.0"].keys
    assert isinstance(keys, TokenLine)
    assert keys.words[-2:] == ("cat saw", "it")
