"""Captures in the browser's code: every source's rows and columns against torch's."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

import nlviz
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.split import SAME_RANKING
from nlviz.analysis.controls import controls, variants_of_features
from nlviz.captures.model import Capture, Model
from nlviz.errors import InvalidView
from nlviz.resources import asset
from nlviz.views.display import Display
from nlviz.web.payloads.container import pack, unpack
from nlviz.web.payloads.live_view import live_view
from tests.nets import FRAMES, frame_net, noise_clip
from tests.web.live_view.test_rows import run_node

pytestmark = pytest.mark.slow

PLACES = ((0, 20, 30), (1, 70, 100), (2, 40.5, 150), (2, 100, 5))


def compare(capture: Capture, block: str, folder: Path) -> dict[str, Any]:
    """Compare every source in the browser's code with torch; return the view's header."""
    affinities = controls(capture, block)
    header, arrays = unpack(live_view(capture, block, affinities=affinities))
    sections, cases = dict(arrays), []
    _, height, width = capture.clip.shape
    for key, affinity in affinities.items():
        for number, (frame, *place) in enumerate(PLACES):
            y, x = min(place[0], height - 1), min(place[1], width - 1)
            query = affinity.queries.nearest(frame=frame, y=y, x=x)
            wanted = {f"row {number}": (query, affinity.rows([query])[:, 0].mean(0), "from")}
            if key != "nl_means":  # its columns would need every row's sum
                target = affinity.keys.nearest(frame=frame, y=y, x=x)
                wanted[f"column {number}"] = (target, affinity.column(target).mean(0), "to")
            for name, (token, values, direction) in wanted.items():
                section = f"expected.{key}.{name}"
                sections[section] = values.float().cpu().numpy()
                cases.append(
                    {
                        "name": f"{key} {name}",
                        "query": {"frame": frame, "y": y, "x": x},
                        "token": token,
                        "view": {"source": key, "direction": direction},
                        "expected": section,
                        "tolerance": 5e-3,
                    }
                )
    path = folder / "real.bin"
    path.write_bytes(pack({**header, "cases": cases}, sections))
    run_node("rows.test.mjs", NLVIZ_CONTAINER=str(path))
    return header


@pytest.mark.parametrize("block", ["stage3", "stage4"])
def test_rows_of_a_real_clip_equal_torch(block: str, tmp_path: Path, lite_nl: nlviz.Model) -> None:
    clip = nlviz.read_clip(asset("clips/bunny.mp4"), frames=3, size=112)
    header = compare(lite_nl.capture(clip), block, tmp_path)
    assert [s["key"] for s in header["sources"] if s["part"]] == ["pairwise", "unary", "minus_mean"]
    assert header["block"]["note"] is None


@pytest.mark.parametrize("pairwise", ["gaussian", "dot_product", "concatenation"])
@pytest.mark.parametrize("across_frames", [True, False])
def test_rows_of_every_kind_equal_torch(pairwise: str, across_frames: bool, tmp_path: Path) -> None:
    net = frame_net(pairwise, across_frames=across_frames, pool=2)
    capture = Model(net, input_spec=FRAMES).capture(noise_clip(3, 96, 160))
    header = compare(capture, "layer1", tmp_path)
    sources = {s["key"]: s for s in header["sources"]}
    assert ("unary" in sources) == ("pairwise" in sources) == (pairwise == "gaussian")
    assert sources["minus_mean"]["balanced"] == (pairwise == "gaussian")
    assert sources["minus_mean"]["of"] == "learned"
    assert header["block"]["note"] == (SAME_RANKING if pairwise == "concatenation" else None)


def test_parts_of_what_is_too_large_are_carried_for_the_opening_query() -> None:
    capture = Model(frame_net(), input_spec=FRAMES).capture(noise_clip(3, 96, 160))
    header, arrays = unpack(live_view(capture, "layer1", query=(1, 20, 30), limit=100))
    for source in header["sources"]:
        assert source["server"]
        affinity = controls(capture, "layer1")[source["key"]]
        index = affinity.queries.nearest(frame=1, y=20, x=30)
        assert (arrays[source["row"]] == affinity.rows([index])[:, 0].numpy()).all()


def test_features_are_sent_once_for_both_of_their_variants() -> None:
    capture = Model(frame_net(), input_spec=FRAMES).capture(noise_clip(3, 48, 64))
    header, arrays = unpack(live_view(capture, "layer1"))
    sources = {source["key"]: source for source in header["sources"]}
    for name in ("theta", "phi"):
        assert sources["cosine"][name] == "features.theta"
    assert "cosine.theta" not in arrays and "features.phi" not in arrays
    own, raw = (controls(capture, "layer1")[key] for key in ("learned", "features"))
    assert isinstance(own, EmbeddedAffinity) and isinstance(raw, EmbeddedAffinity)
    room = 2 * (own.theta.numel() + own.phi.numel() + raw.theta.numel())
    fits = unpack(live_view(capture, "layer1", limit=room + 2 * 2 * 3 * own.keys.size))[0]
    assert not any(s["server"] for s in fits["sources"] if s["key"] in ("features", "cosine"))


def test_what_is_made_once_it_is_asked_for_stands_in_its_place() -> None:
    capture = Model(frame_net(), input_spec=FRAMES).capture(noise_clip(3, 48, 64))
    bare = replace(capture, features={})
    header, _ = unpack(live_view(bare, "layer1", pending=variants_of_features(bare, "layer1")))
    keys = [source["key"] for source in header["sources"]]
    whole = [s["key"] for s in unpack(live_view(capture, "layer1"))[0]["sources"]]
    assert keys == [key for key in whole if key != "untrained"]
    pending = [source for source in header["sources"] if source.get("pending")]
    assert [source["key"] for source in pending] == ["features", "cosine"]
    assert all(source["server"] and source["row"] is None for source in pending)


def test_the_header_carries_defaults_and_choices_of_a_display() -> None:
    capture = Model(frame_net(), input_spec=FRAMES).capture(noise_clip(2, 48, 64))
    display = unpack(live_view(capture, "layer1"))[0]["display"]
    assert Display.from_dict(display["defaults"]) == Display()
    # What is painted is no setting: nothing is, at first.
    assert {*display["defaults"], "painted"} == {field.name for field in fields(Display)}
    for name, values in display["choices"].items():
        assert display["defaults"][name] in values
        for value in values:
            assert getattr(Display.from_dict({name: value}), name) == value
    most = display["most_links"]
    assert Display(links=most).links == most
    with pytest.raises(InvalidView):
        Display(links=most + 1)
