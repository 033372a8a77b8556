"""Adapters: one file per family of networks; the first that knows a block takes the network."""

from __future__ import annotations

from torch import nn

from nlviz.errors import NlvizError, NoNonLocalBlocks, did_you_mean
from nlviz.families.alexhex7 import AlexHex7Adapter, AlexHex7Layout
from nlviz.families.caffe2 import Caffe2Layout
from nlviz.families.gluoncv import GluonCVBlockAdapter, GluonCVLayout
from nlviz.families.lite_nl import LiteNLAdapter, LiteNLLayout
from nlviz.families.mit_tsm import MitTSMLayout
from nlviz.families.non_local_block import NonLocalBlockAdapter
from nlviz.families.open_mmlab import MMAction2Layout, MMCVAdapter
from nlviz.families.reading.adapter import Adapter
from nlviz.families.reading.layout import Layout
from nlviz.families.slowfast import PyTorchVideoAdapter, SlowFastLayout
from nlviz.families.tea1528 import Tea1528Adapter, Tea1528Layout
from nlviz.families.timm.attention import TimmViTAdapter
from nlviz.families.timm.checkpoint import TimmViTLayout
from nlviz.families.timm.non_local import TimmNonLocalAdapter
from nlviz.families.torchvision.checkpoint import TorchvisionDetectionLayout
from nlviz.families.torchvision.detection import DetectionAdapter
from nlviz.families.tushar_n import TusharNLayout
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

# Key layouts of files; those whose keys say most come first, those of plain trunks last.
LAYOUTS: tuple[Layout, ...] = (
    LiteNLLayout(),
    TorchvisionDetectionLayout(),
    Caffe2Layout(),
    SlowFastLayout(),
    MMAction2Layout(),
    MitTSMLayout(),
    GluonCVLayout(),
    AlexHex7Layout(),
    Tea1528Layout(),
    TimmViTLayout(),
    TusharNLayout(),
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
