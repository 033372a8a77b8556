"""The labels of the app, as they stand in its source, and those that name choices."""

from __future__ import annotations

import ast
from pathlib import Path

from app.compare import page as compare
from app.denoise import explain as denoise_words
from app.denoise import sidebar as denoise_sidebar
from app.explore import choices, explain
from app.explore.asks import knock_out
from app.explore.asks.all_asks import ASKS
from app.learn import page as learn

APP = Path(__file__).parents[2] / "app"
_FIELDS = ("pick", "enter", "drop", "upload")
_MORE = ("help", "placeholder", "label")


def labels() -> set[str]:
    """Return what is said by ``spoken``, and labels, tips and fixed options of fields."""
    found: set[str] = set()
    for path in sorted(APP.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                found |= _of(node)
    return {text for text in found if any(sign.isalpha() for sign in text)}


def _of(call: ast.Call) -> set[str]:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name == "spoken":
        return _texts(call.args[:1])
    if name in ("Missing",):
        return _texts(call.args)
    if name in _FIELDS and isinstance(call.func, ast.Attribute):
        told = [keyword.value for keyword in call.keywords if keyword.arg in _MORE]
        label = call.args[:1] if name in ("drop", "upload") else call.args[1:2]
        return _texts([*label, *told])
    return set()


def _texts(nodes: list[ast.expr]) -> set[str]:
    return {n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)}


def options() -> set[str]:
    """Return what fixed options are called, and the heads of pages."""
    asks = {text for ask in ASKS.values() for text in (ask.label, ask.tip)}
    noises = set(denoise_sidebar.NOISES.values())
    kinds = {choices.BUNDLED, choices.UPLOAD, choices.TEXT, choices.GRAPH, choices.SAVED}
    kinds |= {choices.SURVEY}
    cuts = {knock_out.STRONGEST, knock_out.PAINTED, knock_out.FRAME, knock_out.OTHER}
    cuts |= {knock_out.EVERY, knock_out.THIS_BLOCK, knock_out.ALL_BLOCKS}
    heads = {explain.QUESTION, denoise_words.QUESTION, denoise_words.SENTENCES}
    reaches = ("all keys in all frames", "all keys of the picture")
    heads |= {explain.sentences(reach, of_places=True) for reach in reaches}
    heads |= {
        compare.LEAD,
        learn.LEAD,
        explain._TRY,
        explain._WORDS,
        denoise_words._TRY,
        denoise_words._WHY,
    }
    return {*asks, *noises, *kinds, *cuts, *heads, *BY_NAME}


BY_NAME = (  # labels that come to a field by a name
    "What to try", "Words", "Why does averaging help?", "Video, picture or saved capture",
    "Picture or video", "Share of black and white pixels", "Block", "Layer", "y (px)", "x (px)",
    "The same seed, the same noise", "bfloat16 on the GPU; rows are computed in float32",
    "as in the file", "Its frames", "as they are", "The network runs on the changed clip",
    "Head of B", "mean of all", "largest of any",
)  # fmt: skip
EXAMPLES = {"/data/i3d_nl.pth", "scale=false pairwise=dot_product"}  # the same in every language
