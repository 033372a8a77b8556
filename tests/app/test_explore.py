"""The Explore page's Python side, through Streamlit's own test runner."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import nlviz
from tests.app.widgets import the

ENTRY = str(Path(__file__).parents[2] / "nlviz" / "cli" / "app_entry.py")


def app(**query: str) -> AppTest:
    test = AppTest.from_file(ENTRY, default_timeout=90)
    test.query_params.update(query)
    return test.run()


@pytest.fixture(scope="module")
def first() -> AppTest:
    return app(clip="cat.jpg")


def texts(test: AppTest) -> str:
    return " ".join(str(e.value) for e in [*test.markdown, *test.caption, *test.error])


def test_the_first_visit_has_a_view_and_panels(first: AppTest) -> None:
    assert not first.exception
    assert not first.error
    assert first.get("bidi_component")
    assert "Can this map be believed?" in texts(first)
    assert first.selectbox(key="block").options == [
        "stage3",
        "stage4",
    ]
    assert first.selectbox(key="block").value == "stage4"


def test_the_address_opens_a_view() -> None:
    test = app(clip="coffee.jpg", block="stage3", at="0,100,200")
    assert not test.error
    assert test.session_state["explore"].query == (0.0, 100.0, 200.0)
    assert the(test.selectbox, "block").value == "stage3"
    assert the(test.selectbox, "input").value == "coffee.jpg"


def test_typed_numbers_move_the_query() -> None:
    test = app(clip="cat.jpg")
    the(test.number_input, "query_y").set_value(80).run()
    the(test.number_input, "query_x").set_value(120).run()
    now = test.session_state["explore"]
    assert now.query == (0.0, 80.0, 120.0)
    assert now.pinned
    assert test.query_params["at"] in ("0,80,120", ["0,80,120"])  # by version of Streamlit


def test_another_clip_drops_the_query() -> None:
    test = app(clip="cat.jpg", at="0,80,120")
    the(test.selectbox, "input").set_value("coffee.jpg").run()
    assert not test.error
    assert test.session_state["explore"].query is None


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ({"clip": "cta.jpg"}, "did you mean 'cat.jpg'"),
        ({"clip": "cat.jpg", "model": "lite-ln", "at": "0,5,5"}, "did you mean 'lite-nl'"),
    ],
)
def test_a_wrong_address_is_told_in_a_sentence(address: dict[str, str], told: str) -> None:
    test = app(**address)
    assert not test.exception
    (error,) = test.error
    assert told in error.value
    assert "Cancel" not in [button.label for button in test.button]


def test_an_unknown_block_is_told_and_another_one_shown() -> None:
    test = app(clip="cat.jpg", block="stage5", at="0,5,5")
    assert not test.exception and not test.error
    (warning,) = test.warning
    assert "stage5" in warning.value and "stage4" in warning.value
    assert the(test.selectbox, "block").value == "stage4"
    assert test.query_params["at"] in ("0,5,5", ["0,5,5"])


def test_a_query_outside_the_clip_falls_back_to_the_opening_one() -> None:
    test = app(clip="cat.jpg", at="0,5000,5")
    assert not test.exception
    (warning,) = test.warning
    assert "must be between 0 and" in warning.value


def test_a_broken_upload_keeps_the_page_usable() -> None:
    test = app(clip="cat.jpg")
    the(test.segmented_control, "kind").set_value("Upload").run()
    assert "Bring a clip" in texts(test)
    the(test.file_uploader, "upload").set_value(("notes.mp4", b"text", "video/mp4")).run()
    (error,) = test.error
    assert "notes.mp4" in error.value
    assert "Cancel" not in [button.label for button in test.button]
    the(test.segmented_control, "kind").set_value("Bundled").run()
    assert not test.error
    assert test.get("bidi_component")


def test_an_upload_is_shown_and_opens_again_from_its_address() -> None:
    from nlviz.picture import encode

    picture = np.random.default_rng(0).integers(0, 255, (90, 130, 3), np.uint8)
    test = app(clip="cat.jpg")
    the(test.segmented_control, "kind").set_value("Upload").run()
    the(test.file_uploader, "upload").set_value(("noise.png", encode(picture), "image/png")).run()
    assert not test.error
    assert test.get("bidi_component")
    (clip,) = [v[-1] if isinstance(v, list) else v for v in [test.query_params["clip"]]]
    assert clip.startswith("upload:") and clip.endswith(":noise.png")
    again = app(clip=clip)
    assert not again.error
    assert again.session_state["explore"].upload == test.session_state["explore"].upload
    gone = app(clip=clip.replace(":noise", "0:noise"))
    (error,) = gone.error
    assert "noise.png is not on this server" in error.value
    assert the(gone.file_uploader, "upload")
    assert "Open the first view" in [button.label for button in gone.button]


def test_a_page_counts_frames_from_1_and_its_address_from_0() -> None:
    test = app(clip="composed-twins.mp4", frames="3", at="1,40,50")
    field = the(test.number_input, "query_f")
    assert (field.min, field.max, field.value) == (1, 3, 2)
    field.set_value(3).run()
    assert not test.error and not test.exception
    assert test.session_state["explore"].where == (2, 40, 50)
    assert str(test.query_params["at"]).lstrip("['").startswith("2,")


def test_pictures_that_are_dropped_at_once_are_one_clip_in_natural_order() -> None:
    from nlviz.picture import encode

    levels = {"p10.png": 200, "p9.png": 90, "p1.png": 10}
    frames = {n: np.full((40, 60, 3), level, np.uint8) for n, level in levels.items()}
    files = [(name, encode(frame), "image/png") for name, frame in frames.items()]
    test = app(clip="cat.jpg", frames="3")
    the(test.segmented_control, "kind").set_value("Upload").run()
    the(test.file_uploader, "upload").set_value(files).run()
    assert not test.error and not test.exception
    clip = test.session_state["shown"]
    assert clip.name == "p1.png and 2 more"
    read = nlviz.read_clip(clip.upload.path())
    assert [int(frame[0, 0, 0]) for frame in read.frames] == [10, 90, 200]
    assert any("25 a second are assumed" in note for note in read.notes)
    the(test.file_uploader, "upload").set_value(files[:1]).run()  # what comes next is another
    assert test.session_state["shown"].name == "p10.png"
    again = app(clip=clip.upload.text, frames="3")
    assert not again.error
    assert again.session_state["shown"].upload == clip.upload


def test_rows_too_large_for_the_browser_come_with_each_pin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from nlviz.web.payloads import sources as assemble
    from nlviz.web.payloads.container import unpack

    sent: list[bytes] = []
    monkeypatch.setattr(assemble, "LIMIT", 1000)
    monkeypatch.setattr("app.shared.live_view.mount", lambda payload, **_: sent.append(payload))
    test = app(clip="rocket.jpg", block="stage4")
    the(test.number_input, "query_y").set_value(150).run()
    assert not test.error
    headers, arrays = zip(*(unpack(payload) for payload in sent), strict=True)
    assert headers[-1]["sources"][0]["server"]
    first, last = arrays[0]["learned.row"], arrays[-1]["learned.row"]
    assert first.shape == last.shape
    assert np.abs(first - last).max() > 1e-3
    assert np.isclose(last.sum(), 1, atol=1e-3)
