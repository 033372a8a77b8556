"""Models by name or from a file of weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nlviz.captures.model import Model
from nlviz.families.reading.flags import parsed_flags
from nlviz.families.reading.report import LoadReport
from nlviz.progress import Listener
from nlviz.zoo.cards import CARDS, ModelCard
from nlviz.zoo.devices import device_name, list_devices, pick_device
from nlviz.zoo.labels import labels_named
from nlviz.zoo.published import card_for, file_of, is_here
from nlviz.zoo.source import ModelSource

__all__ = [
    "CARDS",
    "ModelCard",
    "card_for",
    "device_name",
    "file_of",
    "inspect_weights",
    "is_here",
    "labels_named",
    "list_devices",
    "list_models",
    "load_model",
    "parsed_flags",
    "pick_device",
]


def list_models() -> list[str]:
    """Return the full names of all models that ``load_model`` knows.

    >>> "lite-nl" in list_models()
    True
    """
    return sorted(CARDS)


def load_model(
    name: str | Path,
    *,
    device: str | None = None,
    family: str | None = None,
    autocast: str | None = None,
    progress: Listener | None = None,
    allow_code: bool = False,
    needs_blocks: bool = True,
    **flags: Any,
) -> Model:
    """Load a model by name, or from a file of weights in any layout that nlviz knows.

    Weights that are not bundled are downloaded when first asked for, and kept.

    Args:
        name: one of ``list_models()``, ``timm/`` and the name of a transformer of timm, ``hf:``
            and the name of one of transformers, the path of a file or of a folder (of shards, or
            that ``save_pretrained`` wrote), or ``MODULE:FUNCTION``, a function that returns a
            network.
        device: ``auto`` (default), ``cpu``, ``cuda`` or ``mps``.
        family: read the file in the layout of this family, rather than the first that knows it.
        autocast: ``bfloat16`` or ``float16`` computes products in half precision; None as they are.
        progress: called with a sentence and a share in [0, 1].
        allow_code: import the module of a name ``MODULE:FUNCTION`` and call the function. Leave it
            False for names that others may have written, such as those in addresses and files.
        needs_blocks: refuse a network without a block; False for ``features`` of any. One whose
            card says that it has none is not refused: it answers, and a capture of it says why
            there is no affinity.
        **flags: what the keys of the file do not say, ``pairwise="dot_product"`` for instance;
            ``nlviz inspect FILE`` lists them. ``part="state_dict_ema"`` takes these weights of a
            file that holds several.

    Raises:
        UnknownModel: when there is no such name or file, or it would run code without leave.
        DownloadFailed: when the weights cannot be had; the sentence says where to put them.
        UnreadableCheckpoint: when the file holds no weights that can be read.
        UnsafeCheckpoint: when it would run code.
        WeightsMismatch: when the weights do not fit, or their digest is wrong.
        NoNonLocalBlocks: when the network has no non-local block.
        NlvizError: when a function of the user's fails, or a flag changes nothing.

    >>> load_model("lite-nl")
    Model(lite-nl, stage3, stage4, on cpu)
    """
    return ModelSource.parse(name).load(
        device=device,
        family=family,
        autocast=autocast,
        progress=progress,
        allow_code=allow_code,
        needs_blocks=needs_blocks,
        **flags,
    )


def inspect_weights(
    name: str | Path,
    *,
    family: str | None = None,
    progress: Listener | None = None,
    allow_code: bool = False,
    **flags: Any,
) -> LoadReport:
    """Report what a file of weights holds and how its network is computed, even if it is partial.

    Of a network that is built rather than read (of timm, or by ``MODULE:FUNCTION``), the report
    lists the blocks.

    Args:
        name: as in ``load_model``.
        family: read the file in the layout of this family.
        progress: called with a sentence and a share in [0, 1].
        allow_code: as in ``load_model``.
        **flags: as in ``load_model``.

    Raises:
        UnknownModel: when there is no such name or file, or it would run code without leave.
        DownloadFailed: when the weights cannot be had.
        UnreadableCheckpoint: when the file holds no weights that can be read.
        UnsafeCheckpoint: when it would run code.

    >>> inspect_weights("lite-nl").complete
    True
    """
    return ModelSource.parse(name).inspect(
        family=family, progress=progress, allow_code=allow_code, **flags
    )
