"""Explore with graphs, and with boxes that a network is asked about, by Streamlit's test runner."""

from __future__ import annotations

import json

import pytest
from streamlit.testing.v1 import AppTest

from app.explore import choices as explore
from app.shared.choices import Chose
from app.shared.uploads import keep
from tests.app.test_texts import app, parameter, said
from tests.app.widgets import the


@pytest.fixture(scope="module")
def graph() -> AppTest:
    return app(clip="lookup.json", model="gat.lookup")


def test_a_bundled_graph_opens_and_its_panels_speak_of_nodes(graph: AppTest) -> None:
    assert not graph.exception and not graph.error
    panels = said(graph).partition("##### Where")[2]
    assert "nodes** &nbsp;" in panels or "nodes share its weight" in panels
    for foreign in (" px", "frame", "cell", "pixel", "point"):
        assert foreign not in panels, foreign
    assert "a query reaches" not in said(graph).lower()
    assert not any("Attribution" in e.label or "colours" in e.label for e in graph.expander)
    names = the(graph.selectbox, "query_name").options
    assert len(names) == 14
    assert parameter(graph, "clip") == "lookup.json"


def test_networks_of_graphs_alone_are_listed(graph: AppTest) -> None:
    assert set(the(graph.selectbox, "graph_model").options) >= {"gat.lookup", "gatv2.lookup"}
    assert "lite-nl" not in the(graph.selectbox, "graph_model").options


def test_a_graph_of_a_visitor_is_kept_by_its_content() -> None:
    whole = json.dumps({"nodes": ["a", "b"], "edges": [["a", "b"]]}).encode()
    upload = keep("mine.json", whole)
    address = {"clip": upload.text, "model": "gat.lookup"}
    test = app(**address)
    (error,) = test.error  # the network wants as many numbers of each node as in training
    assert "Traceback" not in error.value and not test.exception
    now = explore.opened(address, explore.Choices())
    assert (now.kind, now.graph_upload) == (explore.GRAPH, upload)
    assert now.after(Chose("graph", "priority.json")).graph_upload is None


def test_a_network_of_clips_refuses_a_graph_with_a_cure() -> None:
    (error,) = app(clip="lookup.json", model="lite-nl").error
    assert "takes a clip, no graph; choose a clip as the input" in error.value


def test_boxes_stand_in_the_address() -> None:
    boxes = ((0.0, 4.0, 6.0, 30.0, 40.5),)
    now = explore.opened({"clip": "cat.jpg", "boxes": "0,4,6,30,40.5"}, explore.Choices())
    assert (now.kind, now.boxes) == ("Bundled", boxes)
    bad = explore.opened({"clip": "cat.jpg", "boxes": "0,4,6"}, explore.Choices())
    assert bad.boxes == () and "boxes=0,4,6" in bad.notes[0]
    again = now.after(Chose("boxes", ()))
    assert again.of != now.of and again.query is None


def test_a_typed_box_is_what_the_network_looks_from() -> None:
    address = {"clip": "composed-twins.mp4", "frames": "4", "size": "96"}
    test = app(**address, model="action-transformer.composed", boxes="1,20,30,60,80")
    assert not test.exception and not test.error
    assert "Where “box 0” looks" in said(test)
    assert "frame 2, y 20 to 60, x 30 to 80" in said(test)
    fields = {f.label: f for f in test.number_input if str(f.key).startswith("box-")}
    fields["Frame"].set_value(3)
    fields["Left"].set_value(10)
    (look,) = [b for b in test.button if b.label == "Look from this box"]
    look.click().run()
    assert not test.error
    assert test.session_state["explore"].boxes == ((2.0, 20.0, 10.0, 60.0, 80.0),)
    assert parameter(test, "boxes") == "2,20,10,60,80"
    fields = {f.label: f for f in test.number_input if str(f.key).startswith("box-")}
    fields["Bottom"].set_value(5)
    (look,) = [b for b in test.button if b.label == "Look from this box"]
    look.click().run()
    (error,) = test.error
    assert "bottom below top" in error.value
