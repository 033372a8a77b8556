"""A network's input that is made of a text: numbers of words, and where they stand in it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from nlviz.affinity.grid import Axis, TokenGrid
from nlviz.affinity.token_line import TokenLine
from nlviz.clips.text import Text
from nlviz.errors import NlvizError
from nlviz.families.reading.prepared import Prepared
from nlviz.networks.followed import Placed
from nlviz.networks.token_places import LookedUp, Tokens

_OF_A_SECOND = ("decoder_", "tgt", "target", "trg", "labels")  # what is written after what is read


@dataclass(frozen=True)
class TextInput:
    """What a function of a text returns that makes a network's input, ``prepare=``.

    It may as well return the tensors alone where each word of the text is a token.

    Attributes:
        args: what the network is called with.
        kwargs: by name.
        text: the text as it was cut, ``text.cut(tokens, spans)``; None where it was not.
        lines: the tensors that hold its tokens, one part of the text after another: a source and a
            target, say. None: the tensors of whole numbers.

    >>> import nlviz
    >>> ids = torch.tensor([[5, 3, 8]])
    >>> TextInput((ids,), text=nlviz.read_text("one two three")).text
    Text('one two three', 3 tokens)
    """

    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    text: Text | None = None
    lines: Sequence[Tensor] | None = None


@dataclass(frozen=True)
class PreparedText(Prepared):
    """A network's input and where its tokens stand in a text.

    ``tensor`` stands for the text, (1, 1, 1, 1, tokens): a picture of one row, so that all that is
    asked of the places of a picture is asked of those of a text.

    Attributes:
        tokens: the tensors that hold tokens.
    """

    tokens: tuple[Tokens, ...] = ()

    @property
    def alone(self) -> bool:
        """False: what the network takes is no picture."""
        return False

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells this input from others that lie elsewhere."""
        return tuple((tuple(t.tensor.shape), tuple(t.places.tolist())) for t in self.tokens)

    def call(self, net: nn.Module, tensor: Tensor) -> Any:
        """Run a network on the text; on positions where ``tensor`` holds some.

        Args:
            net: the network.
            tensor: of the shape of ``self.tensor``, on the network's device.
        """
        on_positions = isinstance(tensor, Placed)
        ramp = tensor.reshape(-1)
        moved: dict[int, Tensor] = {}
        held = []
        for own in self.tokens:
            if not own.tensor.is_floating_point():
                moved[id(own.tensor)] = own.tensor.to(ramp.device)
                held.append(replace(own, tensor=moved[id(own.tensor)]))
            elif on_positions:
                laid = own.laid_out(ramp.as_subclass(Tensor)).as_subclass(Placed)
                moved[id(own.tensor)] = laid
            else:
                moved[id(own.tensor)] = own.tensor.to(ramp)

        def fitting(value: Any) -> Any:
            if not isinstance(value, Tensor):
                return value
            if id(value) in moved:
                return moved[id(value)]
            if value.is_floating_point() and not on_positions:
                return value.to(ramp)
            return value.to(ramp.device)

        args, kwargs = tree_map(fitting, self.args), tree_map(fitting, dict(self.kwargs))
        with LookedUp(held, ramp) if on_positions else nullcontext():
            return net(*args, **kwargs)

    def line(self, grid: TokenGrid) -> TokenGrid:
        """Return tokens on a line of the text as its words.

        Args:
            grid: of one row of tokens, at their places in the text; others are returned as they
                are.
        """
        text = self.text
        assert text is not None
        if grid.shape[:2] != (1, 1):
            return grid
        count, stride, first = grid.shape[2], grid.stride[2], grid.origin[2]
        if count == 1 and stride == len(text.tokens) > 1:  # stands for all of it
            whole = TokenLine.of(("the text",), ((0, len(text.text)),), first=first, stride=stride)
            return replace(whole, prefix=grid.prefix, line=grid.line)
        start = first - (stride - 1) / 2
        if stride == round(stride) and abs(start - round(start)) < 1e-3 and start > -0.5:
            found = TokenLine.part_of(text, first=round(start), count=count, stride=round(stride))
            return replace(found, prefix=grid.prefix, line=grid.line)
        # Each is called by the word that it is centred at.
        last = len(text.tokens) - 1
        at = [min(max(math.ceil(first + stride * i - 0.5), 0), last) for i in range(count)]
        return TokenLine.of(
            [text.tokens[i] for i in at],
            [text.spans[i] for i in at],
            first=first,
            stride=stride,
            prefix=grid.prefix,
            special=[n for n, i in enumerate(at) if i in text.special],
            line=grid.line,
        )


def prepared_text(
    text: Text,
    args: tuple[Any, ...] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    lines: Sequence[Tensor] | None = None,
    notes: tuple[str, ...] = (),
) -> PreparedText:
    """Return the input of a network of words.

    Args:
        text: as the network sees it: a token for each of its own.
        args: what the network is called with.
        kwargs: by name.
        lines: those of the tensors that hold the text's tokens, one part after another; by default
            those of whole numbers, else of floats: tensors of equal length hold the same tokens.
        notes: one sentence for each thing that a user must know of it.

    Raises:
        NlvizError: when there are more or fewer numbers than tokens.

    >>> ids = torch.tensor([[5, 3, 8]])
    >>> found = prepared_text(Text.of_tokens("abc"), (ids,))
    >>> found.tensor.shape, found.tokens[0].places.tolist()
    (torch.Size([1, 1, 1, 1, 3]), [0, 1, 2])
    """
    given = dict(kwargs or {})
    if lines is None:
        parts = _parts((("", a) for a in args), given.items(), count=len(text.tokens))
    else:
        parts = [[(tensor, _axis(tensor))] for tensor in lines]
    tokens, at = [], 0
    for group in parts:
        count = group[0][0].shape[group[0][1]]
        places = torch.arange(at, at + count)
        tokens += [Tokens(tensor, axis, places) for tensor, axis in group]
        at += count
    if at != len(text.tokens):
        raise NlvizError(
            f"each token that a network is given must be one of the text, it is given {at} and the "
            f"text has {len(text.tokens)}; let prepare= return nlviz.TextInput(..., "
            "text=text.cut(tokens, spans)), with lines=[...] where not all numbers are tokens"
        )
    return PreparedText(
        torch.zeros(1, 1, 1, 1, at),
        Axis(),
        Axis(),
        text.shape,
        args=tuple(args),
        kwargs=given,
        notes=notes,
        text=text,
        tokens=tuple(tokens),
    )


def text_input(made: Any, text: Text) -> PreparedText:
    """Return the input that a user's function made of a text.

    Raises:
        NlvizError: when it holds no tensor of tokens, or another number of them.
    """
    if isinstance(made, TextInput):
        return prepared_text(made.text or text, made.args, made.kwargs, lines=made.lines)
    if isinstance(made, dict):
        return prepared_text(text, (), made)
    return prepared_text(text, made if isinstance(made, tuple) else (made,))


Group = list[tuple[Tensor, int]]


def _parts(*inputs: Iterable[tuple[str, Any]], count: int) -> list[Group]:
    """Return the tensors that hold tokens, those of one part of the text together.

    Args:
        inputs: names and values of arguments.
        count: tokens of the text, by which the axis of channels is told from theirs.
    """
    named = [
        (name, x)
        for some in inputs
        for name, value in some
        for x in tree_leaves(value)
        if isinstance(x, Tensor) and x.numel()
    ]
    whole = [
        (n, x)
        for n, x in named
        if not x.is_floating_point()
        and x.dtype != torch.bool
        and x.numel() == max(x.shape, default=0)
    ]
    if not whole:
        whole = [(n, x) for n, x in named if x.is_floating_point() and x.dim() in (2, 3)][:1]
    if not whole and any(x.dim() == 2 and not x.is_floating_point() for _, x in named):
        raise NlvizError(
            "a network is given one text at a time, (1, tokens); prepare= returned several side by "
            "side"
        )
    if not whole:
        raise NlvizError(
            "prepare= must return what a network of words takes, a tensor of whole numbers "
            "(1, tokens) or of floats (1, tokens, channels) among it; there is none"
        )
    found: dict[tuple[bool, int], Group] = {}
    for name, x in whole:
        axis = _axis(x, count)
        second = name.lower().startswith(_OF_A_SECOND)
        found.setdefault((second, int(x.shape[axis])), []).append((x, axis))
    for group in found.values():
        _check_one(group)
    return [found[key] for key in sorted(found, key=lambda key: key[0])]


def _check_one(group: Group) -> None:
    """Refuse two tensors of equal length that may each hold the words: which does is open.

    A mask, kinds of tokens and places are told from words by their numbers.

    Raises:
        NlvizError: when there are two.
    """
    rows = [x.reshape(-1) for x, _ in group if not x.is_floating_point()]
    words = [
        row
        for row in rows
        if int(row.max()) > 1 and (len(row) < 2 or not bool((row.diff() == 1).all()))
    ]
    if len({tuple(row.tolist()) for row in words}) > 1:
        raise NlvizError(
            "two tensors of as many whole numbers may hold the words of the text, say one of them "
            "moved on; let prepare= return nlviz.TextInput(..., lines=[...]) with those that hold "
            "its tokens, one part after another"
        )


def _axis(tensor: Tensor, count: int = 0) -> int:
    """Return the axis of tokens: of whole numbers the long one, of floats the last but one."""
    if tensor.is_floating_point():
        usual = tensor.dim() - 2
        fitting = [d for d, n in enumerate(tensor.shape) if n == count]
        return fitting[0] if len(fitting) == 1 else usual
    return max(range(tensor.dim()), key=lambda d: tensor.shape[d])
