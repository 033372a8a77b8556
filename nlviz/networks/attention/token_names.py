"""Names of tokens without a place: class token and registers, as a network's parameters are called.

Which token is which is not taken from a habit: the network runs with a mark in each parameter's
place, on a picture of nothing, and a token is called what its mark says, in whatever order, and
behind whatever else, the network puts it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nlviz.networks.followed import Placed
from nlviz.networks.places import Array

_TOKENS = (
    ("cls", ("cls_token", "class_token", "class_embedding", "cls_embedding", "cls")),
    ("dist", ("dist_token", "distillation_token")),
    ("registers", ("reg_token", "register_tokens", "registers", "reg_tokens", "storage_tokens")),
)
_SPELLINGS = frozenset(spelling for _, spellings in _TOKENS for spelling in spellings)
_LIKE_TOKENS = re.compile(r"token|cls|prompt|quer(y|ies)|latent|memor|regist|probe")
_NO_TOKENS = re.compile(r"mask|pos(_|ition|$)|weight|bias|scale|gamma|norm")


@dataclass(frozen=True, eq=False)
class TokenParameter:
    """A parameter that becomes tokens.

    Attributes:
        module: that holds it.
        attribute: its name there.
        names: of its tokens, one for each.
    """

    module: nn.Module
    attribute: str
    names: tuple[str, ...]


def marked_parameters(net: nn.Module) -> tuple[TokenParameter, ...]:
    """Return ``token_parameters``, and behind them whatever else is called like tokens.

    >>> net = nn.Module()
    >>> net.cls_token, net.prompts = (nn.Parameter(torch.zeros(1, n, 6)) for n in (1, 2))
    >>> [token.names for token in marked_parameters(net)]
    [('cls',), ('prompts.0', 'prompts.1')]
    """
    found = list(token_parameters(net))
    known = {(id(token.module), token.attribute) for token in found}
    taken = {name for token in found for name in token.names}
    for module in net.modules():
        for attribute, parameter in module._parameters.items():
            named = attribute.lower()
            if parameter is None or (id(module), attribute) in known or parameter.dim() > 3:
                continue
            if not _LIKE_TOKENS.search(named) or _NO_TOKENS.search(named):
                continue
            count = int(parameter.shape[-2]) if parameter.dim() > 1 else 1
            names = tuple(f"{attribute}.{i}" for i in range(count)) if count > 1 else (attribute,)
            if taken.isdisjoint(names):
                taken.update(names)
                found.append(TokenParameter(module, attribute, names))
    return tuple(found)


def token_parameters(net: nn.Module) -> tuple[TokenParameter, ...]:
    """Return the parameters that become tokens without a place, of each kind the first."""
    own: dict[str, nn.Module] = {}
    for module in net.modules():
        for attribute, parameter in module._parameters.items():
            if attribute in _SPELLINGS and parameter is not None:
                own[attribute] = module
    found = []
    for kind, spellings in _TOKENS:
        attribute = next((s for s in spellings if s in own), "")
        if not attribute:
            continue
        parameter = own[attribute]._parameters[attribute]
        count = int(parameter.shape[-2]) if parameter is not None and parameter.dim() > 1 else 1
        names = tuple(f"registers.{i}" for i in range(count)) if kind == "registers" else (kind,)
        found.append(TokenParameter(own[attribute], attribute, names))
    return tuple(found)


def token_names_of(net: nn.Module) -> tuple[str, ...]:
    """Return the names of a picture's tokens without a place, as a network's parameters are called.

    >>> net = nn.Module()
    >>> net.cls_token, net.reg_token = (nn.Parameter(torch.zeros(1, n, 6)) for n in (1, 2))
    >>> token_names_of(net)
    ('cls', 'registers.0', 'registers.1')
    """
    return tuple(name for token in token_parameters(net) for name in token.names)


@contextmanager
def marks_in(
    tokens: Sequence[TokenParameter], kind: torch.dtype, *, alike: bool = False
) -> Iterator[None]:
    """Put a mark in the place of each token: 1 for the first name, 2 for the second; or 1 for all.

    >>> net = nn.Module()
    >>> net.cls_token = nn.Parameter(torch.zeros(1, 1, 6))
    >>> with marks_in(token_parameters(net), torch.float64):
    ...     float(net.cls_token.as_subclass(Tensor).mean())
    1.0
    >>> net.cls_token.shape
    torch.Size([1, 1, 6])
    """
    before: list[tuple[TokenParameter, nn.Parameter | None]] = []
    number = 1
    try:
        for token in tokens:
            own = token.module._parameters
            parameter = own[token.attribute]
            assert parameter is not None
            each = torch.arange(len(token.names), dtype=kind, device=parameter.device)
            each = torch.ones_like(each) if alike else each + number
            each = each[:, None] if parameter.dim() > 1 else each
            before.append((token, parameter))
            own[token.attribute] = each.expand(parameter.shape).as_subclass(Placed)  # type: ignore[assignment]
            number += len(token.names)
        yield
    finally:
        for token, parameter in before:
            token.module._parameters[token.attribute] = parameter


def named_by_marks(
    marks: Tensor | Array, tokens: Sequence[TokenParameter]
) -> tuple[tuple[str, ...], ...]:
    """Return the name that each mark stands for, (entries, tokens); empty where it is none."""
    names = ("", *(name for token in tokens for name in token.names))
    found = np.nan_to_num(np.asarray(marks), nan=0.0)
    number = np.rint(found).astype(int)
    number[(np.abs(found - number) > 1e-4) | (number < 0) | (number >= len(names))] = 0
    return tuple(tuple(names[i] for i in row) for row in number)
