"""Names and files to models: the catalogue, checkpoints, devices, labels."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlviz.zoo.cards import ModelCard
    from nlviz.zoo.load import inspect_weights, list_models, load_model

_HOMES = {
    "ModelCard": "load",
    "inspect_weights": "load",
    "list_models": "load",
    "load_model": "load",
}
__all__ = ["ModelCard", "inspect_weights", "list_models", "load_model"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nlviz.zoo' has no attribute {name!r}")
    return getattr(import_module(f"nlviz.zoo.{_HOMES[name]}"), name)
