"""nlviz shows where non-local blocks look: per query, across space and time, and what to believe.

The names below are the public interface. They are imported when first used, so that
``import nlviz`` itself costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlviz.affinity import Affinity, EmbeddedAffinity
    from nlviz.analysis.agreement import Agreement, agreement
    from nlviz.analysis.attribution import Attribution, attribution
    from nlviz.analysis.common_ground import CommonGround, common_ground
    from nlviz.analysis.health import BlockHealth, block_health
    from nlviz.attention_map import AttentionMap, Link
    from nlviz.block import NonLocalBlock, insert
    from nlviz.capture_file import read_capture
    from nlviz.captured import About, Capture
    from nlviz.clip import Clip, read_clip
    from nlviz.errors import NlvizError
    from nlviz.families.adapter import InputSpec
    from nlviz.geometry import TokenGrid
    from nlviz.model import Model, capture
    from nlviz.pairwise import Pairwise
    from nlviz.patches import PatchAffinity, patch_affinity
    from nlviz.protocol import thirty_views
    from nlviz.render.notebook import LiveView, view
    from nlviz.render.overlays import Overlay, overlay
    from nlviz.render.views import View, read_view
    from nlviz.support import Support, Window
    from nlviz.zoo import ModelCard, inspect_weights, list_models, load_model

_HOMES = {
    "About": "captured",
    "Affinity": "affinity",
    "Agreement": "analysis.agreement",
    "AttentionMap": "attention_map",
    "Attribution": "analysis.attribution",
    "BlockHealth": "analysis.health",
    "Capture": "captured",
    "Clip": "clip",
    "CommonGround": "analysis.common_ground",
    "EmbeddedAffinity": "affinity",
    "InputSpec": "families.adapter",
    "Link": "attention_map",
    "LiveView": "render.notebook",
    "Model": "model",
    "ModelCard": "zoo",
    "NlvizError": "errors",
    "NonLocalBlock": "block",
    "Overlay": "render.overlays",
    "Pairwise": "pairwise",
    "PatchAffinity": "patches",
    "Support": "support",
    "TokenGrid": "geometry",
    "View": "render.views",
    "Window": "support",
    "agreement": "analysis.agreement",
    "attribution": "analysis.attribution",
    "block_health": "analysis.health",
    "capture": "model",
    "common_ground": "analysis.common_ground",
    "insert": "block",
    "list_models": "zoo",
    "load_model": "zoo",
    "inspect_weights": "zoo",
    "overlay": "render.overlays",
    "patch_affinity": "patches",
    "read_capture": "capture_file",
    "read_clip": "clip",
    "read_view": "render.views",
    "thirty_views": "protocol",
    "view": "render.notebook",
}

__version__ = "0.3.0"
__all__ = [
    "About",
    "Affinity",
    "Agreement",
    "AttentionMap",
    "Attribution",
    "BlockHealth",
    "Capture",
    "Clip",
    "CommonGround",
    "EmbeddedAffinity",
    "InputSpec",
    "Link",
    "LiveView",
    "Model",
    "ModelCard",
    "NlvizError",
    "NonLocalBlock",
    "Overlay",
    "Pairwise",
    "PatchAffinity",
    "Support",
    "TokenGrid",
    "View",
    "Window",
    "agreement",
    "attribution",
    "block_health",
    "capture",
    "common_ground",
    "insert",
    "inspect_weights",
    "list_models",
    "load_model",
    "overlay",
    "patch_affinity",
    "read_capture",
    "read_clip",
    "read_view",
    "thirty_views",
    "view",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'nlviz' has no attribute {name!r}")
    value = getattr(import_module(f"nlviz.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
