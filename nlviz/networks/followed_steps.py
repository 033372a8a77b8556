"""Positions through recurrent layers: what is given for a step stands at the step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from nlviz.networks.followed_axes import on_meta


def _layer(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Outputs stand at their steps, though they hold what came before; states have no place."""
    out, *states = on_meta(func, args, kwargs)
    x = args[0]
    own = x.mean(-1, keepdim=True).expand(out.shape)
    return own, *(torch.zeros(s.shape, dtype=x.dtype, device=x.device) for s in states)


def _step(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a cell gives stands where its input stands; of an input of no place, nowhere."""
    x: Tensor = args[0]
    placed = type(x) is not Tensor
    kind = x.dtype if placed else torch.float64
    own = x.mean(-1, keepdim=True) if placed else torch.zeros((), dtype=kind, device=x.device)
    return tree_map(lambda o: own.expand(o.shape), on_meta(func, args, kwargs))


STEP_RULES: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), _layer),
    **dict.fromkeys(("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"), _step),
}
