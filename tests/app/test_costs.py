"""Long runs of Explore are asked about before, and stopped ones lead back."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.explore import costs
from tests.app.test_denoise import address
from tests.app.test_explore import app
from tests.app.widgets import the


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "LONG", 0.001)
    monkeypatch.setattr(costs, "FEW", 3)


def infos(test: AppTest) -> str:
    return " ".join(str(e.value) for e in test.info)


def test_a_long_run_is_asked_about_before() -> None:
    test = app(clip="bunny.mp4", frames="6", size="120")
    assert not test.exception and not test.error
    assert "6 frames of bunny.mp4 take about 5 seconds" in infos(test)
    assert "GiB of memory" in infos(test)
    assert not test.get("bidi_component")
    assert the(test.number_input, "frames").value == 6
    test.button(key="go_on").click().run()
    assert not test.exception and not test.error
    assert test.get("bidi_component")
    assert address(test)["frames"] == "6"


def test_fewer_frames_are_offered_and_what_was_there_before() -> None:
    test = app(clip="bunny.mp4", frames="7", size="121")
    assert [b.label for b in test.button if b.key in ("go_on", "fewer")] == [
        "Run it",
        "Take 8 frames",
    ]
    the(test.number_input, "frames").set_value(2).run()
    assert test.get("bidi_component")
    the(test.number_input, "frames").set_value(9).run()
    assert "9 frames" in infos(test)
    (back,) = [b for b in test.button if b.key == "back"]
    assert back.label == "Back to 2 frames"
    back.click().run()
    assert test.get("bidi_component")
    assert the(test.number_input, "frames").value == 2
    assert address(test)["frames"] == "2"


def test_a_stopped_run_leads_back_and_is_taken_up_again() -> None:
    test = app(clip="cat.jpg")
    the(test.selectbox, "input").set_value("coffee.jpg").run()
    good = test.session_state["explore_good"]
    assert good.input == "coffee.jpg"
    # As if Cancel had been clicked while astronaut.jpg was read.
    test.session_state["explore"] = good.after(_chose("input", "astronaut.jpg"))
    test.session_state["stopped"] = (test.session_state["explore"], "astronaut's key")
    test.session_state["stopped_at"] = (good.of, good.network_text)
    test.session_state["explore"] = good
    test.run()
    assert "Stopped before astronaut.jpg was done" in infos(test)
    assert the(test.selectbox, "input").value == "coffee.jpg"
    assert test.get("bidi_component")
    test.button(key="resume").click().run()
    assert "Stopped" not in infos(test)
    assert address(test)["clip"] == "astronaut.jpg"


def _chose(field: str, value: object) -> object:
    from app.shared.choices import Chose

    return Chose(field, value)
