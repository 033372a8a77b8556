"""nlviz shows where non-local blocks look: per query, across space and time, and what to believe.

The names below are the public interface. They are imported when first used, so that
``import nlviz`` itself costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlviz.affinity.attention_map import AttentionMap, Link
    from nlviz.affinity.base import Affinity
    from nlviz.affinity.embedded import EmbeddedAffinity
    from nlviz.affinity.grid import TokenGrid
    from nlviz.affinity.pairwise import Pairwise
    from nlviz.affinity.patches import PatchAffinity, patch_affinity
    from nlviz.affinity.support import Support, Window
    from nlviz.analysis.agreement import Agreement, agreement
    from nlviz.analysis.attribution import Attribution, attribution
    from nlviz.analysis.common_ground import CommonGround, common_ground
    from nlviz.analysis.health import BlockHealth, block_health
    from nlviz.captures.capture import About, Capture, read_capture
    from nlviz.captures.model import Model, capture
    from nlviz.captures.thirty_views import thirty_views
    from nlviz.clips.clip import Clip, read_clip
    from nlviz.errors import NlvizError
    from nlviz.families.reading.adapter import InputSpec
    from nlviz.networks.block import NonLocalBlock
    from nlviz.networks.insert import insert
    from nlviz.render.overlay import Overlay, overlay
    from nlviz.views.view import View, read_view
    from nlviz.web.notebook import LiveView, view
    from nlviz.zoo.load import ModelCard, inspect_weights, list_models, load_model

_HOMES = {
    "About": "captures.capture",
    "Affinity": "affinity.base",
    "Agreement": "analysis.agreement",
    "AttentionMap": "affinity.attention_map",
    "Attribution": "analysis.attribution",
    "BlockHealth": "analysis.health",
    "Capture": "captures.capture",
    "Clip": "clips.clip",
    "CommonGround": "analysis.common_ground",
    "EmbeddedAffinity": "affinity.embedded",
    "InputSpec": "families.reading.adapter",
    "Link": "affinity.attention_map",
    "LiveView": "web.notebook",
    "Model": "captures.model",
    "ModelCard": "zoo.load",
    "NlvizError": "errors",
    "NonLocalBlock": "networks.block",
    "Overlay": "render.overlay",
    "Pairwise": "affinity.pairwise",
    "PatchAffinity": "affinity.patches",
    "Support": "affinity.support",
    "TokenGrid": "affinity.grid",
    "View": "views.view",
    "Window": "affinity.support",
    "agreement": "analysis.agreement",
    "attribution": "analysis.attribution",
    "block_health": "analysis.health",
    "capture": "captures.model",
    "common_ground": "analysis.common_ground",
    "insert": "networks.insert",
    "list_models": "zoo.load",
    "load_model": "zoo.load",
    "inspect_weights": "zoo.load",
    "overlay": "render.overlay",
    "patch_affinity": "affinity.patches",
    "read_capture": "captures.capture",
    "read_clip": "clips.clip",
    "read_view": "views.view",
    "thirty_views": "captures.thirty_views",
    "view": "web.notebook",
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
