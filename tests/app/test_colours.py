"""Sources that need the network once more, and features as colours, on the Explore page."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

import nlviz
from nlviz.zoo import app_offers
from tests.app.test_explore import ENTRY, texts
from tests.app.widgets import the

OWN = """
import torch
from torch import nn
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch = nn.Conv2d(3, 24, 16, 16)
        self.layer = nn.TransformerEncoderLayer(24, 3, 28, batch_first=True)
        self.head = nn.Linear(24, 5)
    def forward(self, x):
        return self.head(self.layer(self.patch(x).flatten(2).mT).mean(1))
def build():
    torch.manual_seed(0)
    return Net().eval()
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "own_of_colours.py").write_text(OWN, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(app_offers, "_functions", ["own_of_colours:build"])
    return "own_of_colours:build"


def opened(model: str, **query: str) -> AppTest:
    test = AppTest.from_file(ENTRY, default_timeout=90)
    test.query_params.update({"model": model, "clip": "composed-twins.mp4", "frames": "2", **query})
    return test.run()


def sources(test: AppTest) -> dict[str, dict[str, object]]:
    """Return what the live view on the page was sent."""
    (live,) = [e for e in test.get("bidi_component") if e.proto.component_name == "nlviz_component"]
    header, _ = nlviz.web.unpack(live.proto.bytes)
    return {source["key"]: source for source in header["sources"]}


def test_the_network_runs_once_more_for_what_is_asked_for(own: str) -> None:
    test = opened(own)
    assert not test.error
    before = sources(test)
    assert before["cosine"]["pending"] and "layers" not in before["cosine"]
    now = test.session_state["explore"]
    assert now.block == "layer.self_attn"
    asked = opened(own, source="cosine")
    assert not asked.error and not asked.warning
    after = sources(asked)
    assert list(after) == list(before)
    assert not after["cosine"]["server"] and after["cosine"]["pairwise"] == "cosine"
    assert "What is like this point" in texts(asked)
    assert "the most alike other cell" in texts(asked)
    asked.button(key="save-html").click().run()
    (file,) = asked.session_state["save-files"]  # a page of its own carries what is on the screen
    (body,) = re.findall(rb">([A-Za-z0-9+/=]{2000,})<", file.container)
    header, arrays = nlviz.web.unpack(base64.b64decode(body))
    kept = {source["key"]: source for source in header["sources"]}
    assert kept["cosine"]["theta"] in arrays and header["view"]["source"] == "cosine"


def test_any_layer_as_colours(own: str) -> None:
    test = opened(own)
    assert "Their first" not in texts(test) and "They explain" not in texts(test)
    the(test.text_input, "colours_layer").set_value("patch").run()
    test.button(key="colours_run").click().run()
    assert not test.error
    assert "principal components of 24 channels" in texts(test)
    the(test.text_input, "colours_layer").set_value("patsch").run()
    test.button(key="colours_run").click().run()
    assert "No layer is called 'patsch'; did you mean 'patch'?" in texts(test)
