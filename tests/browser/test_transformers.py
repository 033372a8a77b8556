"""A folder that transformers wrote, from its path to the live view of its heads and layers."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import opened
from tests.families.small_transformers import small

pytest.importorskip("transformers")
pytestmark = pytest.mark.browser
LONG = 60_000


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with folders of networks of pictures and of clips."""
    root = tmp_path_factory.mktemp("networks")
    for name in ("vit", "timesformer"):
        net = small(name)
        if name == "vit":
            net.config.id2label = {
                n: word for n, word in enumerate(("ant", "bee", "cow", "dog", "elk"))
            }
        net.save_pretrained(root / name)
        processor = {"image_mean": [0.2, 0.3, 0.4], "image_std": [0.5, 0.25, 0.2]}
        (root / name / "preprocessor_config.json").write_text(json.dumps(processor))
    return root


def by_path(page: Page, path: Path) -> None:
    field = page.get_by_label("or the path of a file on this machine")
    field.fill(str(path))
    field.press("Enter")


def test_pictures_labels_heads_and_rollout(page: Page, app_url: str, folders: Path) -> None:
    opened(page, f"{app_url}/?clip=cat.jpg")
    page.get_by_text("File", exact=True).click()
    by_path(page, folders / "vit")
    expect(page.locator(".nlv-title")).to_contain_text("vit", timeout=LONG)
    expect(page.locator(".nlv-facts")).to_contain_text(
        "reaches all keys of the picture, and the class"
    )
    for word in ("ant", "elk"):
        expect(page.get_by_test_id("stSidebar").get_by_text(word, exact=True)).to_be_visible()
    assert not page.get_by_text("No processor was saved").count()
    page.get_by_role("button", name="Class token, every head").click()
    expect(page.locator(".nlv-head-map")).to_have_count(3)
    expect(page.get_by_text("Where the class token (cls) looks")).to_be_visible()
    page.get_by_role("radio", name="Rollout").click()
    expect(page.locator(".nlv-sentence")).to_contain_text(
        "Rollout: 2 layers multiplied", timeout=LONG
    )
    expect(page).to_have_url(re.compile("source=rollout.*token=cls"))
    assert not page.get_by_test_id("stAlertContentError").count()


def test_clips_by_layer(page: Page, app_url: str, folders: Path) -> None:
    path = folders / "timesformer"
    opened(page, f"{app_url}/?clip=bunny.mp4&model={path}&frames=3")
    lead = page.locator(".st-key-lead")
    expect(lead).to_contain_text("here the keys of its own frame alone")
    sidebar = page.get_by_test_id("stSidebar")
    expect(sidebar).to_contain_text("No rollout here")
    page.get_by_role("combobox", name="Block").click()
    page.get_by_role("option", name="temporal attention").click()
    expect(lead).to_contain_text("its own place in all 3 frames", timeout=LONG)
    page.get_by_role("combobox", name="Layer").click()
    page.get_by_role("option", name="layer 0").click()
    expect(page.locator(".nlv-title")).to_contain_text("layer.0.temporal_attention", timeout=LONG)
    assert not page.get_by_test_id("stAlertContentError").count()


def test_what_is_no_such_folder_is_one_sentence(page: Page, app_url: str, folders: Path) -> None:
    wrong = folders / "wrong"
    shutil.copytree(folders / "timesformer", wrong, dirs_exist_ok=True)
    (wrong / "config.json").unlink()
    opened(page, f"{app_url}/?clip=cat.jpg")
    page.get_by_text("File", exact=True).click()
    alert = page.get_by_test_id("stAlertContentError")
    for path, told in (
        (folders / "none", "no folder"),
        (folders, "name that folder"),
        (wrong, "config.json"),
    ):
        by_path(page, path)
        expect(alert).to_have_count(1, timeout=LONG)
        expect(alert).to_contain_text(told, timeout=LONG)
    by_path(page, folders / "vit")
    expect(page.locator(".nlv-title")).to_contain_text("vit", timeout=LONG)
