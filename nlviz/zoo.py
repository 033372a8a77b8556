"""Models by name: cards of known weights, and how to load them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import nn

from nlviz.errors import NlvizError, UnknownModel, UnsafeCheckpoint, did_you_mean
from nlviz.model import About, Model
from nlviz.resources import asset
from nlviz.weights import digest_of, load_into, read_weights


@dataclass(frozen=True)
class ModelCard:
    """What is known of a set of weights.

    Attributes:
        name: ``architecture`` or ``architecture.tag``.
        build: makes the network.
        weights: bundled file under ``assets/weights``; its card, the .json beside it, holds the
            digest and what the weights saw in training.
        trained_for: one phrase for titles.
        licence: of the weights.
        paper: where the architecture is described.
        labels: name of the list of class names.
    """

    name: str
    build: Callable[[], nn.Module]
    weights: str
    trained_for: str
    licence: str
    paper: str
    labels: str


def _lite_nl() -> nn.Module:
    from nlviz.networks.lite_nl import LiteNL

    return LiteNL()


CARDS: dict[str, ModelCard] = {
    card.name: card
    for card in (
        ModelCard(
            name="lite-nl",
            build=_lite_nl,
            weights="lite-nl.safetensors",
            trained_for="correspondence between frames, not a recognition task",
            licence="Apache-2.0",
            paper="arXiv 1711.07971 (blocks), arXiv 1905.11946 (backbone)",
            labels="imagenet",
        ),
    )
}


def list_models() -> list[str]:
    """Return the full names of all models that ``load_model`` knows.

    >>> list_models()
    ['lite-nl']
    """
    return sorted(CARDS)


def load_model(name: str | Path, *, device: str | None = None) -> Model:
    """Load a model by name, or a weights file of a network that nlviz knows.

    Args:
        name: one of ``list_models()``, or the path of a .safetensors file that a recipe wrote.
        device: ``auto`` (default), ``cpu``, ``cuda`` or ``mps``.

    Raises:
        UnknownModel: when there is no such name or file.
        UnsafeCheckpoint: when the file is no .safetensors file.
        WeightsMismatch: when the weights do not fit, or their digest is wrong.

    >>> load_model("lite-nl")
    Model(lite-nl, stage3, stage4, on cpu)
    """
    if str(name) in CARDS:
        card = CARDS[str(name)]
        path = asset(f"weights/{card.weights}")
        sha256 = json.loads(path.with_suffix(".json").read_text("utf-8"))["sha256"]
        about = About(card.name, card.trained_for, sha256)
        weights = read_weights(path, sha256=sha256)
    else:
        path = Path(name)
        if path.suffix != ".safetensors" and path.is_file():
            raise UnsafeCheckpoint(
                f"weights are read from .safetensors files, which cannot run code; convert "
                f"{path.name} with safetensors.torch.save_file first"
            )
        if not path.is_file():
            raise UnknownModel(f"no model is called {str(name)!r}{did_you_mean(str(name), CARDS)}")
        card = CARDS["lite-nl"]  # the one architecture that has a recipe
        weights = read_weights(path)
        about = About(f"{card.name} ({path.name})", "trained by its recipe", digest_of(path))
    net = card.build()
    load_into(net, weights, source=path.name)
    net.eval().requires_grad_(False).to(pick_device(device))
    return Model(net, about=about, labels=_labels(card.labels))


def devices() -> list[str]:
    """Return the devices that torch can use here, best first.

    >>> "cpu" in devices()
    True
    """
    found = ["cuda"] if torch.cuda.is_available() else []
    return [*found, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def device_name(device: str) -> str:
    """Return what a device is called: the GPU's name, or CPU with its threads.

    >>> device_name("cpu").startswith("CPU")
    True
    """
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    if device != "cpu":
        return device.upper()
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'' if threads == 1 else 's'}"


def pick_device(device: str | None) -> str:
    """Return a usable device.

    Args:
        device: ``cpu``, ``cuda`` or ``mps``; None or ``auto`` for the best there is.

    Raises:
        NlvizError: when the device is not there.

    >>> pick_device("cpu")
    'cpu'
    """
    there = devices()
    if device in (None, "auto"):
        return there[0]
    if str(device).split(":")[0] not in there:
        raise NlvizError(f"a device here is one of {', '.join(there)} or auto, got {device!r}")
    return str(device)


@cache
def _labels(name: str) -> tuple[str, ...]:
    # The metadata of torchvision's weights carries the class names; nothing is downloaded.
    if name == "imagenet":
        from torchvision.models import EfficientNet_B0_Weights

        return tuple(EfficientNet_B0_Weights.DEFAULT.meta["categories"])
    raise NlvizError(f"there is no list of labels called {name!r}")
