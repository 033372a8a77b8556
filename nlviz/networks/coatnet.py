"""Small CoAtNets of four layouts at equal size, as timm builds them.

Dai et al. 2021, "CoAtNet: Marrying Convolution and Attention for All Data Sizes", arXiv 2106.04803;
built by timm's ``MaxxVit`` (Apache-2.0). Of four stages behind a stem of convolutions, each halves
the picture; C is an MBConv block with a depthwise convolution, T is a Transformer block with a
learned bias for every offset between query and key,

    y_i = sum_j softmax_j(q_i . k_j / sqrt(d) + w_(i - j)) v_j,

and C stages come first. Layouts differ in the four letters alone: both kinds average 2 x 2 cells
before they work, and the widths of their inner layers are chosen such that all layouts have as many
parameters within 1 %.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from jaxtyping import Float
from torch import Tensor, nn

if TYPE_CHECKING:
    from timm.models.maxxvit import MaxxVit

Layout = Literal["C-C-C-C", "C-C-C-T", "C-C-T-T", "C-T-T-T"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

SIDE = 64  # pixels
CLASSES = 10
WIDTHS = (16, 32, 48, 64)  # channels of the stages
HEAD = 16  # channels of a head
_STEM = (8, 8)


def coatnet(layout: Layout) -> MaxxVit:
    """Build a network with random weights for pictures of 64 x 64 pixels and ten classes.

    Input: (pictures, 3, 64, 64), RGB in [0, 1]. The stages work on 16 x 16, 8 x 8, 4 x 4 and
    2 x 2 cells. Output: (pictures, 10) logits. Its card, ``pretrained_cfg``, says how a picture
    becomes the input.

    >>> import torch
    >>> net = coatnet("C-C-T-T").eval()
    >>> with torch.no_grad():
    ...     net(torch.zeros(3, 3, 64, 64)).shape
    torch.Size([3, 10])
    >>> sum(p.numel() for p in net.parameters())
    63973
    """
    from timm.models.maxxvit import MaxxVit, MaxxVitCfg, MaxxVitConvCfg, MaxxVitTransformerCfg

    net = MaxxVit(
        MaxxVitCfg(
            embed_dim=WIDTHS,
            depths=(1, 1, 1, 1),
            block_type=tuple(layout.split("-")),
            stem_width=_STEM,
            conv_cfg=MaxxVitConvCfg(expand_ratio=3.0, act_layer="silu", stride_mode="pool"),
            transformer_cfg=MaxxVitTransformerCfg(
                dim_head=HEAD, expand_ratio=2.0, rel_pos_type="bias"
            ),
            weight_init="",  # each layer's own, from which T learns sooner
        ),
        img_size=SIDE,
        num_classes=CLASSES,
    )
    card: Any = {
        "input_size": (3, SIDE, SIDE),
        "mean": (0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0),
        "num_classes": CLASSES,
        "label_names": tuple(str(digit) for digit in range(CLASSES)),
    }
    net.pretrained_cfg = card
    return net


def trunk_of(net: MaxxVit) -> nn.ModuleDict:
    """Return stem and first stage, which are convolutions in all layouts."""
    return nn.ModuleDict({"stem": net.stem, "first": net.stages[0]})


def cells_of(net: MaxxVit, x: Tensor) -> Float[Tensor, "pictures 16 h w"]:
    """Return what the first stage makes of pictures: 16 channels on 16 x 16 cells of 4 pixels."""
    found: Tensor = net.stages[0](net.stem(x))
    return found


def scores_of(net: MaxxVit, cells: Tensor) -> Float[Tensor, "pictures classes"]:
    """Return the logits that the other three stages make of the cells of the first.

    >>> import torch
    >>> net, x = coatnet("C-C-C-T").eval(), torch.rand(2, 3, 64, 64)
    >>> with torch.no_grad():
    ...     torch.equal(scores_of(net, cells_of(net, x)), net(x))
    True
    """
    for stage in net.stages[1:]:
        cells = stage(cells)
    found: Tensor = net.forward_head(net.norm(cells))
    return found


def named_layout(name: str) -> Layout:
    """Return a layout by its letters, in any case.

    Raises:
        ValueError: when there is no such layout.

    >>> named_layout("c-c-t-t")
    'C-C-T-T'
    """
    found = name.upper()
    if found not in LAYOUTS:
        raise ValueError(f"layouts are {', '.join(LAYOUTS)}, got {name!r}")
    return found
