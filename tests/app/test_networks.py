"""Networks from files in the Explore page, through Streamlit's own test runner."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.app.test_denoise import address
from tests.app.test_explore import app, texts
from tests.app.widgets import the
from tests.families.writers.alexhex7 import digits
from tests.families.writers.tea1528 import state_of


@pytest.fixture
def ckpt(tmp_path: Path) -> Path:
    path = tmp_path / "ckpt.t7"
    torch.save({"net": state_of("embedded_gaussian"), "acc": 93.5, "epoch": 180}, path)
    return path


def test_a_file_by_its_path_is_shown_with_its_report(ckpt: Path) -> None:
    test = app(clip="cat.jpg")
    the(test.segmented_control, "network").set_value("File").run()
    assert "Open a network" in texts(test)
    the(test.text_input, "weights_path").set_value(str(ckpt)).run()
    assert not test.error
    assert not test.exception
    assert test.get("bidi_component")
    assert the(test.selectbox, "block").options == ["layer2.2"]
    assert "Complete: every tensor" in texts(test)
    assert any("the same for embedded_gaussian" in w.value for w in test.warning)
    the(test.text_input, "flags").set_value("pairwise=dot_product").run()
    assert not test.error
    assert not test.warning
    params = address(test)
    assert (params["model"], params["flags"]) == (str(ckpt), "pairwise=dot_product")
    again = app(**params)
    assert not again.error and not again.warning
    assert the(again.text_input, "weights_path").value == str(ckpt)
    assert address(again) == params
    the(test.text_input, "flags").set_value("pairwise=cosine").run()
    (error,) = test.error
    assert "embedded_gaussian, dot_product" in error.value.replace("gaussian, embedded", "embedded")


def test_an_upload_of_weights_opens_again_from_its_address(tmp_path: Path) -> None:
    path = tmp_path / "digits.pth"
    torch.save(digits("gaussian"), path)
    test = app(clip="coffee.jpg")
    the(test.segmented_control, "network").set_value("File").run()
    upload = (path.name, path.read_bytes(), "application/octet-stream")
    the(test.file_uploader, "weights_upload").set_value(upload).run()
    assert not test.error
    assert the(test.selectbox, "block").options == ["nl1", "nl2"]
    model = test.query_params["model"]
    again = app(clip="coffee.jpg", model=model if isinstance(model, str) else model[-1])
    assert not again.error
    assert the(again.selectbox, "block").options == ["nl1", "nl2"]


def test_files_that_make_no_network_are_told_with_what_they_hold(tmp_path: Path) -> None:
    state = state_of("embedded_gaussian")
    state["layer2.2.key.weight"] = state.pop("layer2.2.phi.weight")
    path = tmp_path / "ckpt.t7"
    torch.save({"net": state}, path)
    test = app(clip="cat.jpg")
    the(test.segmented_control, "network").set_value("File").run()
    the(test.text_input, "weights_path").set_value(str(path)).run()
    (error,) = test.error
    assert "1 missing" in error.value
    assert "Not complete" in texts(test)
    the(test.text_input, "weights_path").set_value(str(tmp_path / "none.pth")).run()
    assert "There is no file" in test.error[0].value
    hostile = tmp_path / "hostile.pth"
    hostile.write_text("<html>Sign in</html>")
    the(test.text_input, "weights_path").set_value(str(hostile)).run()
    (error,) = test.error
    assert "hostile.pth" in error.value
    assert not test.exception


def test_weights_under_another_licence_are_asked_about_before_they_come(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NLVIZ_CACHE", str(tmp_path))
    monkeypatch.setenv("NLVIZ_OFFLINE", "1")
    test = app(clip="cat.jpg")
    the(test.selectbox, "model").set_value("i3d-nl-r50.k400-caffe2-32x2").run()
    assert "no commercial use" in texts(test)
    assert not test.get("bidi_component")
    test.button(key="agree").click().run()
    (error,) = test.error
    assert "NLVIZ_OFFLINE" in error.value
    assert "i3d_nonlocal_32x2_IN_pretrain_400k.pkl" in error.value


def test_a_transformer_of_timm_is_asked_about_before_it_comes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NLVIZ_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    name = "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k"
    test = app(clip="cat.jpg", model=name)
    assert not test.error and not test.get("bidi_component")
    assert "about 21.8 MiB from https://huggingface.co/timm/" in texts(test)
    assert f"{name} is not on this machine yet" in texts(test)
    test.button(key="agree").click().run()
    (error,) = test.error
    assert "NLVIZ_OFFLINE forbids downloads" in error.value
    assert {"Try again"} <= {b.label for b in test.button}
    the(test.selectbox, "model").set_value("lite-nl").run()
    assert not test.error and test.get("bidi_component")
