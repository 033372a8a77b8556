"""The wheel, installed in a clean environment and run away from the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser

from tests.browser.conftest import opened
from tests.processes import served

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.wheel


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bin folder of an environment that holds the wheel.

    Its dependencies are those of the running environment, named in a .pth file: that makes them
    importable without the checkout, whose own .pth is not followed from there.
    """
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", str(folder)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    (wheel,) = folder.glob("nlviz-*.whl")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps"]
    subprocess.run([*pip, "--no-index", str(wheel)], check=True, capture_output=True)
    (site,) = (folder / "env" / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "env" / "bin"


def run(program: Path, *args: str, cwd: Path) -> str:
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [program, *args], cwd=cwd, env=env, check=True, capture_output=True, text=True
    )
    return done.stdout


def test_the_library_comes_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    code = "import nlviz, nlviz.resources as r; print(nlviz.__file__); print(r.asset('clips'))"
    for line in run(installed / "python", "-c", code, cwd=tmp_path).splitlines():
        assert line.startswith(str(installed.parent))


def test_the_public_names_come_from_the_stubs_in_the_wheel(installed: Path, tmp_path: Path) -> None:
    (site,) = (installed.parent / "lib").glob("python*/site-packages")
    stubs = {str(stub.parent.relative_to(site)) for stub in site.rglob("*.pyi")}
    assert {"nlviz", "nlviz/denoise", "nlviz/words", "nlviz/zoo"} <= stubs
    code = "import nlviz; print(nlviz.denoise.psnr.__name__, nlviz.Clip.__name__)"
    assert run(installed / "python", "-c", code, cwd=tmp_path).split() == ["psnr", "Clip"]


def test_the_command_line_works(installed: Path, tmp_path: Path) -> None:
    assert "lite-nl" in run(installed / "nlviz", "models", cwd=tmp_path).splitlines()
    run(
        installed / "nlviz", "attend", "cat.jpg", "--query", "0,90,120", "--size", "160",
        "-o", "look.png", cwd=tmp_path,
    )  # fmt: skip
    with Image.open(tmp_path / "look.png") as picture:
        assert picture.width > 300


def test_the_app_opens(installed: Path, tmp_path: Path, browser: Browser) -> None:
    with served(tmp_path, program=installed / "nlviz") as server:
        page = browser.new_page()
        page.set_default_timeout(90_000)
        opened(page, f"{server.url}/?clip=cat.jpg")
        assert "cat.jpg" in page.locator(".nlv-title").inner_text()
        page.close()
