"""Adapters: one file per family of networks; the first that knows a block takes the network."""

from __future__ import annotations

from torch import nn

from nlviz.errors import NlvizError, NoNonLocalBlocks, did_you_mean
from nlviz.families.adapter import Adapter
from nlviz.families.alexhex7 import AlexHex7Adapter
from nlviz.families.detection import DetectionAdapter
from nlviz.families.gluoncv_block import GluonCVBlockAdapter
from nlviz.families.lite_nl import LiteNLAdapter
from nlviz.families.mmcv import MMCVAdapter
from nlviz.families.non_local_block import NonLocalBlockAdapter
from nlviz.families.pytorchvideo import PyTorchVideoAdapter
from nlviz.families.tea1528 import Tea1528Adapter
from nlviz.families.timm_non_local import TimmNonLocalAdapter
from nlviz.families.timm_vit import TimmViTAdapter
from nlviz.families.video_resnet import VideoResNetAdapter

FAMILIES: tuple[Adapter, ...] = (
    LiteNLAdapter(),
    DetectionAdapter(),
    VideoResNetAdapter(),
    NonLocalBlockAdapter(),
    AlexHex7Adapter(),
    MMCVAdapter(),
    PyTorchVideoAdapter(),
    GluonCVBlockAdapter(),
    Tea1528Adapter(),
    TimmNonLocalAdapter(),
    TimmViTAdapter(),
)


def adapter_for(net: nn.Module, *, family: str | None = None) -> Adapter:
    """Return the adapter that knows a network.

    Args:
        net: the network.
        family: take this family, rather than the first that finds a block.

    Raises:
        NoNonLocalBlocks: when no family finds a block.
        NlvizError: when there is no family of that name.

    >>> from nlviz.networks.lite_nl import LiteNL
    >>> adapter_for(LiteNL()).family
    'lite-nl'
    """
    by_name = {a.family: a for a in FAMILIES}
    if family is not None and family not in by_name:
        raise NlvizError(f"no family is called {family!r}{did_you_mean(family, by_name)}")
    tried = FAMILIES if family is None else (by_name[family],)
    for adapter in tried:
        if adapter.blocks(net):
            return adapter
    raise NoNonLocalBlocks(
        f"a network needs a block with an affinity, {type(net).__name__} has none that these "
        f"families know: {', '.join(a.family for a in tried)}; put one in with "
        "nlviz.insert(net, after=...)"
    )
