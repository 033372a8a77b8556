"""Saved captures in the Explore page, through Streamlit's own test runner."""

from __future__ import annotations

from pathlib import Path

import pytest

from nlviz.errors import UnreadableCheckpoint
from nlviz.zoo import app_offers
from nlviz.zoo.app_offers import captures, offer_capture
from tests.app.test_explore import app, texts
from tests.app.widgets import the
from tests.captures.test_file_format import detected, made


@pytest.fixture(autouse=True)
def nothing_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_offers, "_captures", {})


@pytest.mark.slow
def test_an_offered_capture_opens_without_a_network(tmp_path: Path) -> None:
    assert offer_capture(detected().save(tmp_path / "look.nlviz")) == "look.nlviz"
    test = app()
    assert not test.error
    assert not test.exception
    assert test.get("bidi_component")
    assert the(test.selectbox, "saved").value == "look.nlviz"
    assert the(test.selectbox, "block").options == ["a.nl"]
    told = texts(test)
    assert "Saved capture" in told
    assert any("A saved capture holds no network" in i.value for i in test.info)
    address = {k: v[-1] if isinstance(v, list) else v for k, v in test.query_params.items()}
    assert address.keys() == {"capture", "block", "at"} and address["capture"] == "look.nlviz"
    assert not [s for s in test.selectbox if s.key in ("model", "device")]
    the(test.segmented_control, "kind").set_value("Bundled").run()
    assert not test.error
    assert [s for s in test.selectbox if s.key == "model"]


def test_an_address_names_no_file(tmp_path: Path) -> None:
    path = made().save(tmp_path / "look.nlviz")
    assert "o bundled input is called" in texts(app(clip=str(path)))
    (tmp_path / "bad.nlviz").write_bytes(path.read_bytes()[:-5])
    with pytest.raises(UnreadableCheckpoint, match=r"bad\.nlviz is .* cut short"):
        offer_capture(tmp_path / "bad.nlviz")
    assert not captures()


def test_uploads_open_or_are_told(tmp_path: Path) -> None:
    content = made().save(tmp_path / "look.nlviz").read_bytes()
    test = app(clip="cat.jpg")
    the(test.segmented_control, "kind").set_value("Upload").run()
    kind = "application/octet-stream"
    the(test.file_uploader, "upload").set_value(("renamed.bin", content, kind)).run()
    assert not test.error
    assert the(test.selectbox, "block").options == ["a.nl"]
    assert "upload:" in str(test.query_params["clip"])
    (error,) = app(capture="../look.nlviz").error
    assert "o saved capture is called" in error.value
    the(test.file_uploader, "upload").set_value(("look.nlviz", content[:-9], kind)).run()
    (error,) = test.error
    assert "look.nlviz" in error.value and "cut short" in error.value
    assert not test.exception
    the(test.file_uploader, "upload").set_value(("look.nlviz", b"GIF89a", kind)).run()
    (error,) = test.error
    assert "must be a safetensors file" in error.value
