"""Does a network take what it is given, a clip, a text or a graph? And how it saw the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import nn

from nlviz.clips.boxes import with_boxes
from nlviz.clips.clip import Clip
from nlviz.clips.graph import Graph
from nlviz.clips.text import Text, prompt_of, read_text, with_prompt
from nlviz.errors import NlvizError
from nlviz.families.reading.adapter import AnyAdapter
from nlviz.families.reading.prepared import Prepared


def asked_about(
    clip: Clip, text: Text | str | None, boxes: Sequence[Sequence[float]] | None
) -> Clip:
    """Return a clip with the text beside it and the boxes on it that a network is asked about.

    Raises:
        NlvizError: when it is no input.
    """
    if not isinstance(clip, Clip):
        raise NlvizError(
            f"a network is given a Clip, a Text or a Graph, got {type(clip).__name__}; read one "
            "with nlviz.read_clip(path), nlviz.read_text(text) or nlviz.read_graph(path)"
        )
    if text is not None:
        clip = with_prompt(clip, read_text(text) if isinstance(text, str) else text)
    return clip if boxes is None else with_boxes(clip, boxes)


def check_takes(adapter: AnyAdapter, net: nn.Module, clip: Clip, name: str) -> None:
    """Refuse an input of another kind than a network takes: a text where it takes pictures.

    Args:
        adapter: of the network's family.
        net: the network.
        clip: what it is to be given.
        name: what to call it.

    Raises:
        NlvizError: when it does not take such an input.
    """
    inputs = adapter.inputs(net)
    if isinstance(clip, Text):
        if "text" not in inputs:
            raise NlvizError(
                f"{name} must be given a clip, it takes no text that is known here; give "
                "one, or say with prepare= how it takes a text"
            )
        if "clip" in inputs:
            raise NlvizError(
                f"{name} takes a clip and a text, it was given a text alone; say "
                "capture(clip, text=...)"
            )
        return
    if isinstance(clip, Graph):
        if "graph" not in inputs:
            kinds = " and ".join(f"a {kind}" for kind in inputs)
            raise NlvizError(f"{name} takes {kinds}, {clip.name} is a graph; take another network")
        return
    if "clip" not in inputs:
        kinds = " and ".join(f"a {kind}" for kind in inputs)
        raise NlvizError(f"{name} takes {kinds}, no pictures; give it nlviz.read_{inputs[0]}(...)")
    if clip.boxes and "boxes" not in inputs:
        raise NlvizError(
            f"{name} takes no boxes that are known here; leave boxes= out, or say with prepare= "
            "how it takes them"
        )
    if prompt_of(clip) is not None and "text" not in inputs:
        raise NlvizError(f"{name} takes no text beside the clip; leave text= out")


def seen_as(clip: Clip, prepared: Prepared) -> Clip:
    """Return an input as the network saw it: a text cut into its own tokens."""
    if prepared.text is None:
        return clip
    given = clip if isinstance(clip, Text) else prompt_of(clip)
    seen = prepared.text
    if given is not None:  # so that it is given again as it was, and not what was made of it
        seen = replace(seen, written=given.written, name=given.name, digest=given.digest)
    return seen if isinstance(clip, Text) else with_prompt(clip, seen)
