"""Transformers of timm with its published weights, as ``timm/NAME``.

The weights lie on the Hugging Face hub, whose own tools download, resume and keep them.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from nlviz.captures.model import About, Model
from nlviz.errors import (
    DownloadFailed,
    NoNonLocalBlocks,
    UnknownModel,
    WeightsMismatch,
    did_you_mean,
)
from nlviz.families import adapter_for, adapter_of_any
from nlviz.files.cache import cache_folder, is_offline
from nlviz.files.local import bytes_in_words, digest_of
from nlviz.progress import Listener, Progress
from nlviz.zoo.labels import labels_named

if TYPE_CHECKING:
    from huggingface_hub.utils.tqdm import tqdm

PREFIX = "timm/"
_FILE = "model.safetensors"


def is_timm(name: str) -> bool:
    """Return whether a name is one of timm's.

    >>> is_timm("timm/vit_small_patch16_224.dino"), is_timm("lite-nl")
    (True, False)
    """
    return name.startswith(PREFIX) and not Path(name).is_file()


def timm_model(name: str, *, progress: Listener | None = None, needs_blocks: bool = True) -> Model:
    """Return a transformer of timm with its weights, on the CPU and in eval mode.

    Where it can take pictures of any size it does, so that a clip keeps its aspect.

    Args:
        name: ``timm/`` and a name of ``timm.list_pretrained()``.
        progress: called with a sentence and a share in [0, 1].
        needs_blocks: refuse a network without attention.

    Raises:
        UnknownModel: when timm has no weights of that name.
        NoNonLocalBlocks: when it is no transformer whose attention is a map of the picture.
        DownloadFailed: when the weights cannot be had; the sentence says where to put them.
        WeightsMismatch: when the file does not hold the weights.
    """
    import timm

    short = name.removeprefix(PREFIX)
    card = timm.get_pretrained_cfg(short) if timm.is_model(short) else None
    if card is None or not card.hf_hub_id:
        known = timm.list_pretrained()
        raise UnknownModel(
            f"timm has no weights called {short!r}{did_you_mean(short, known)[:300]}"
        )
    try:
        with torch.device("meta"):
            adapter_for(_built(short))
    except NoNonLocalBlocks:
        if needs_blocks:
            raise NoNonLocalBlocks(
                f"of timm's networks the plain transformers (ViT, DeiT, DINO, EVA) are known, "
                f"{short} is something else; load it with timm and put a block in with nlviz.insert"
            ) from None
    path = _file(short, str(card.hf_hub_id), Progress.of(progress))
    try:
        net = _built(short, pretrained=True, pretrained_cfg_overlay={"file": str(path)})
    except Exception as error:  # whatever a broken file makes of timm's reader
        raise WeightsMismatch(
            f"{path} does not hold the weights of {short} ({error}); delete it to download it again"
        ) from error
    net.eval().requires_grad_(False)
    trained = f"trained as {card.tag!r} tells (licence {card.license or 'unknown'})"
    return Model(
        net,
        adapter=adapter_of_any(net),
        about=About(name, trained, digest_of(path)),
        labels=labels_named("imagenet") if getattr(net, "num_classes", None) == 1000 else (),
    )


def timm_download(name: str) -> str:
    """Return what is downloaded for a transformer of timm, in a sentence; empty for nothing.

    A name that timm does not know needs no download: loading it says what is wrong.

    Args:
        name: ``timm/`` and a name of ``timm.list_pretrained()``.

    >>> timm_download("timm/no_such_network")
    ''
    """
    import timm

    short = name.removeprefix(PREFIX)
    card = timm.get_pretrained_cfg(short) if timm.is_model(short) else None
    if card is None or not card.hf_hub_id or _kept(short, str(card.hf_hub_id)) is not None:
        return ""
    return (
        f"{name} is not on this machine yet: about {bytes_in_words(_size(short))} from "
        f"https://huggingface.co/{card.hf_hub_id}. Licence: {card.license or 'unknown'}."
    )


@cache
def _size(name: str) -> int:
    """Return the bytes of a transformer's weights, as they are published."""
    with torch.device("meta"):
        return sum(4 * each.numel() for each in _built(name).state_dict().values())


def _built(name: str, **options: Any) -> nn.Module:
    import timm

    try:
        net = timm.create_model(name, dynamic_img_size=True, **options)
    except TypeError:  # a network that takes one size alone
        net = timm.create_model(name, **options)
    assert isinstance(net, nn.Module)  # for the type checker
    return net


def _file(name: str, repository: str, progress: Progress) -> Path:
    """Return the file of the weights: the hub's copy, one put by hand, or one downloaded now.

    Raises:
        DownloadFailed: when the weights cannot be had; the sentence says where to put them.
    """
    from huggingface_hub import hf_hub_download

    if (kept := _kept(name, repository)) is not None:
        return kept
    by_hand = _by_hand(name)
    why = "NLVIZ_OFFLINE forbids downloads"
    if not is_offline():
        try:
            return Path(hf_hub_download(repository, _FILE, tqdm_class=_bar(name, progress)))
        except OSError as error:  # all that the hub raises of its own are one
            why = str(error).partition("\n")[0] or type(error).__name__
    raise DownloadFailed(
        f"the weights of {name} could not be downloaded from https://huggingface.co/{repository}: "
        f"{why}; get {_FILE} by other means and put it at {by_hand}"
    )


def _kept(name: str, repository: str) -> Path | None:
    """Return the file of the weights where it is on this machine."""
    from huggingface_hub import try_to_load_from_cache

    kept = try_to_load_from_cache(repository, _FILE)
    if isinstance(kept, str):
        return Path(kept)
    by_hand = _by_hand(name)
    return by_hand if by_hand.is_file() else None


def _by_hand(name: str) -> Path:
    return cache_folder() / "weights" / f"{name}.safetensors"


def _bar(name: str, progress: Progress) -> type[tqdm]:
    """Return the hub's progress bar, or one that reports to a listener in its place."""
    from huggingface_hub.utils.tqdm import tqdm

    class Reported(tqdm):
        def __init__(self, *given: Any, **options: Any) -> None:
            options |= {"disable": False, "file": io.StringIO()}  # it counts, and draws nothing
            super().__init__(*given, **options)  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> bool | None:
            drawn: bool | None = super().update(n)
            total = self.total or 0
            of = f" of {bytes_in_words(int(total))}" if total else ""
            share = min(self.n / total, 1.0) if total else 0.0
            progress(f"Downloading {name}, {bytes_in_words(int(self.n))}{of}", share)
            return drawn

    return Reported if progress.heard else tqdm
