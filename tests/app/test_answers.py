"""The panels about the network's answer: attribution, and the 30 views."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from tests.app.test_explore import app, texts
from tests.app.widgets import the


def infos(test: AppTest) -> str:
    return " ".join(str(e.value) for e in test.info)


@pytest.mark.slow
def test_attribution_is_computed_when_asked_for() -> None:
    test = app(clip="cat.jpg")
    assert "is not why the network decides" in texts(test)
    assert "rank correlation" not in texts(test)
    best = the(test.selectbox, "attribution_target").options
    assert len(best) == 10
    test.button(key="attribution_run").click().run()
    assert not test.exception and not test.error
    told = texts(test)
    assert told.count("rank correlation with") == 2
    assert "this point's map" in told and "by chance" in told
    assert "1 pass through the network" in told
    assert "attribution_cancel" not in [button.key for button in test.button]
    # Another method has no result yet, and the first one is kept.
    the(test.selectbox, "attribution_method").set_value("occlusion").run()
    assert "rank correlation" not in texts(test)
    the(test.selectbox, "attribution_method").set_value("grad-cam").run()
    assert "rank correlation" in texts(test)


def panel_alone(kind: str) -> None:
    """Draw the panel for a capture without a network, or one without scores."""
    import dataclasses

    from app.explore import attribution
    from nlviz.captures.model import Model
    from nlviz.views.view import View
    from tests.nets import CLIPS, clip_net, noise_clip

    shot = Model(clip_net(), input_spec=CLIPS).capture(noise_clip())
    if kind == "no scores":
        shot = dataclasses.replace(shot, logits=None)
    now = View.of(shot, "nl", frame=0, y=8, x=8)
    attribution.draw(None, shot, "nl", now)


@pytest.mark.parametrize(
    ("kind", "told"), [("saved", "holds no network"), ("no scores", "no score per class")]
)
def test_what_is_missing_is_said(kind: str, told: str) -> None:
    test = AppTest.from_function(panel_alone, default_timeout=60, args=(kind,)).run()
    assert not test.exception
    assert told in infos(test)
    assert not test.button


def views_alone(sampled: bool, with_source: bool) -> None:
    """Draw the prediction panel of a small network."""
    import dataclasses

    from app.explore import prediction
    from nlviz.captures.model import Model
    from tests.footage import write_video
    from tests.nets import CLIPS, clip_net, noise_clip

    spec = dataclasses.replace(CLIPS, frames=4, stride=2) if sampled else CLIPS
    model = Model(clip_net(), input_spec=spec)
    source = write_video(frames=20) if with_source else None
    prediction.draw(lambda: model, model.capture(noise_clip()), source)


@pytest.mark.slow
def test_a_video_network_says_that_one_clip_is_not_the_protocol() -> None:
    test = AppTest.from_function(views_alone, default_timeout=60, args=(True, True)).run()
    assert "This is one clip" in texts(test)
    test.button(key="views_run").click().run()
    assert not test.exception and not test.error
    assert "Mean softmax of 30 views" in texts(test)
    assert "of the views have this label first" in texts(test)
    assert [button.key for button in test.button] == ["views_run"]
    without = AppTest.from_function(views_alone, default_timeout=60, args=(True, False)).run()
    assert "This is one clip" in texts(without) and not without.button


def test_other_networks_say_nothing_of_views() -> None:
    test = AppTest.from_function(views_alone, default_timeout=60, args=(False, True)).run()
    assert not test.exception
    assert "own answer" in texts(test)
    assert "This is one clip" not in texts(test) and not test.button
