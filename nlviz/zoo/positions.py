"""How a network that is in memory resizes its positions, and another way on demand."""

from __future__ import annotations

from torch import nn

from nlviz.errors import NlvizError
from nlviz.families.reading.layout import Flag
from nlviz.families.reading.positions import WAYS

_OF_TRANSFORMERS = {"Dinov2Embeddings": "transformers", "Dinov2WithRegistersEmbeddings": "timm"}


def positions_of(net: nn.Module) -> dict[str, Flag]:
    """Return how a network resizes learned positions, as a flag of its report; empty for no way.

    >>> positions_of(nn.Linear(2, 3))
    {}
    """
    for module in net.modules():
        kind = type(module)
        way = getattr(module, "positions", None)
        own = way in WAYS
        if not own:
            way = next((w for k in kind.__mro__ if (w := _OF_TRANSFORMERS.get(k.__name__))), None)
        if way is None and kind.__name__.startswith("VisionTransformer"):
            resizes = getattr(module, "dynamic_img_size", False)
            placed = getattr(module, "pos_embed", None) is not None
            way = "timm" if resizes and placed and kind.__module__.startswith("timm.") else None
        if way is not None:
            note = WAYS[way]
            if way == "transformers" and not own:
                note += ", where DINOv2's authors add an offset: positions=dino"
            return {"positions": Flag(way, "user" if own else "preset", note)}
    return {}


def with_positions(net: nn.Module, name: str, way: object) -> None:
    """Let a network resize its learned positions in another way.

    Args:
        net: a network of timm or transformers.
        name: what the user calls it.
        way: one of ``nlviz.families.reading.positions.WAYS``.

    Raises:
        NlvizError: when there is no such way, or it has no positions that it resizes.
    """
    if way not in WAYS:
        raise NlvizError(f"the flag positions is one of {', '.join(WAYS)}, got {way!r}")
    kind = type(net).__module__
    done = False
    if kind.startswith(("timm.", "nlviz.families.timm.")):
        from nlviz.families.timm.resized_vit import resized_vit

        done = resized_vit(net, str(way))
    elif kind.startswith("transformers."):
        from nlviz.families.reading.resized_dinov2 import resized_dinov2

        done = resized_dinov2(net, str(way))
    if not done:
        raise NlvizError(
            f"positions= is for networks that resize a learned table of positions (ViT of timm, "
            f"DINOv2 of transformers), {name} does not; leave it out"
        )
