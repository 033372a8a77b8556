"""The kernel is compiled once on a machine, and without a C compiler."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

import nlviz
from nlviz.denoise.kernels import cpu

WARM_UP = """
from nlviz.denoise.kernels import cpu
told = [cpu.compiled()]
cpu.warm_up(lambda sentence, share: told.append("compiling" in sentence))
print(*told, cpu.compiled(), sum(cpu._compiled.stats.cache_hits.values()))
"""


@pytest.mark.slow
def test_compiled_once_in_the_users_folder_where_the_package_is_read_only(tmp_path: Path) -> None:
    source = Path(nlviz.__file__).parent
    copy, home, no_programs = (tmp_path / name for name in ("copy", "home", "empty"))
    shutil.copytree(source, copy / "nlviz", ignore=shutil.ignore_patterns("__pycache__", "assets"))
    (copy / "nlviz" / "denoise" / "kernels" / "__pycache__").touch()  # no file goes in
    no_programs.mkdir()
    env = {**os.environ, "XDG_CACHE_HOME": str(home), "HOME": str(home), "PYTHONPATH": str(copy)}
    env |= {"PATH": str(no_programs)}  # no C compiler either
    env.pop("NUMBA_CACHE_DIR", None)
    told = []
    for _ in range(2):
        command = [sys.executable, "-c", WARM_UP]
        done = subprocess.run(
            command, env=env, cwd=no_programs, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        told.append(done.stdout.split())
    assert told == [["False", "True", "True", "0"], ["True", "True", "1"]]
    assert list(home.rglob("cpu._pair-*.nbi"))


def test_without_any_folder_it_is_compiled_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    inner = numba.njit

    def refuse(*args: Any, cache: bool = False, **options: Any) -> Any:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return inner(*args, **options)

    monkeypatch.setattr(numba, "njit", refuse)
    made = cpu._compiler()
    assert made.stats.cache_path is None
    monkeypatch.setattr(cpu, "_compiled", made)
    assert not cpu.compiled()


def test_a_type_is_compiled_once_for_all_parameters() -> None:
    from nlviz.denoise.weighted_means import non_local_means, non_local_means_of_clip

    cpu.warm_up()
    assert cpu.compiled()
    before = len(cpu._compiled.signatures)
    image = np.random.default_rng(0).uniform(0, 9, (9, 11, 3)).astype(np.float32)
    non_local_means(image, h=2, patch=5, window=3, patch_sigma=1.0, spatial=2.0)
    non_local_means(image[..., 0], h=2, sigma=1.5, threads=2)
    non_local_means_of_clip(image.transpose(2, 0, 1).astype(np.uint8), h=2, frames_window=3)
    assert len(cpu._compiled.signatures) == before


@pytest.mark.slow
def test_numba_is_imported_whole_while_pytorch_is_imported_in_another_thread() -> None:
    # What torch._dynamo does to sys.modules, for longer.
    program = (
        "import sys, threading\n"
        "import numpy\n"
        "taken = sys.modules.pop('_operator')\n"
        "threading.Timer(2, sys.modules.__setitem__, ('_operator', taken)).start()\n"
        "from nlviz.denoise import non_local_means\n"
        "picture = numpy.random.default_rng(0).normal(100, 20, (24, 31))\n"
        "print(non_local_means(picture, h=20.0, sigma=20.0).std() < picture.std())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr
