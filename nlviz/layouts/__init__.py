"""Key layouts of published checkpoints; the first that recognises a file reads it.

Those whose keys say most come first, those of plain trunks last.
"""

from __future__ import annotations

from nlviz.layouts.alexhex7 import AlexHex7Layout
from nlviz.layouts.caffe2 import Caffe2Layout
from nlviz.layouts.gluoncv import GluonCVLayout
from nlviz.layouts.layout import Layout
from nlviz.layouts.lite_nl import LiteNLLayout
from nlviz.layouts.mit_tsm import MitTSMLayout
from nlviz.layouts.mmaction2 import MMAction2Layout
from nlviz.layouts.slowfast import SlowFastLayout
from nlviz.layouts.tea1528 import Tea1528Layout
from nlviz.layouts.timm_vit import TimmViTLayout
from nlviz.layouts.torchvision_detection import TorchvisionDetectionLayout
from nlviz.layouts.tushar_n import TusharNLayout

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
