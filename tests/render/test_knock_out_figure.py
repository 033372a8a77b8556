"""A knock-out as a file: the figure, its table, and all that it told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from nlviz.captures.model import Model
from nlviz.errors import NlvizError
from nlviz.render.knock_out_figure import FORMAT, KINDS, save_knock_out
from nlviz.words.knock_out import knock_out_sentence
from tests.nets import CLIPS, clip_net, noise_clip


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_tells_the_whole(kind: str, tmp_path: Path) -> None:
    from nlviz.analysis.knock_out import knock_out

    capture = Model(clip_net(pool=2), input_spec=CLIPS).capture(noise_clip(4, 32, 48))
    found = knock_out(capture, "nl", (2, 21, 34), top=4, against="all", seeds=3, greedy=True)
    path = save_knock_out(found, tmp_path / f"found.{kind}", capture=capture)
    content = path.read_bytes()
    if kind == "csv":
        head, own, *others = content.decode().splitlines()
        assert head.startswith("cut,draws,weight,in common,output,logits,answer")
        assert own.startswith("its 4 strongest links,1,") and len(others) == 3
    if kind in ("json", "png"):
        text = content if kind == "json" else _carried(path)
        told = json.loads(text)
        assert told["sentence"] == knock_out_sentence(found)
        assert told["clip"]["digest"] == capture.clip.digest
        assert told["keys"] == list(found.cut.keys)
        assert told["greedy"]["output"] == list(found.greedy.changes)
        assert len(told["table"]) == 4
    if kind in ("pdf", "svg"):
        assert content.startswith((b"%PDF", b"<?xml"))


def _carried(path: Path) -> str:
    with Image.open(path) as picture:
        picture.load()
        assert picture.width == 1800
        return str(picture.text[FORMAT])  # type: ignore[attr-defined]


def test_other_endings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NlvizError, match="a knock-out"):
        save_knock_out(None, tmp_path / "found.gif")  # type: ignore[arg-type]
