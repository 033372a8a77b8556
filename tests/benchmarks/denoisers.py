"""What is a learned affinity worth? ``python -m tests.benchmarks.denoisers [--quick]``.

All methods get the same float input, never clipped, with Gaussian noise of one seed a picture
(OpenCV takes uint8 only: for it alone the input is rounded and clipped). h is the best on a grid
for each method and picture, sigma is told to all that take it. None of the networks' training
pictures is among these. Figures are PSNR in dB: means over pictures, with their standard deviation;
differences are paired, with their standard error.

The networks bundled are those of one seed. ``--weights-folder DIR`` measures every seed of which
the recipe left weights there, and keeps the figures with the digests of the files.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_args

import cv2
import numpy as np
import numpy.typing as npt
import torch
from skimage import data

from nlviz.denoise.comparison.oracle import oracle
from nlviz.denoise.networks.restore import affinity_of_planes, load, restore
from nlviz.denoise.noise import add_noise
from nlviz.denoise.quality import psnr
from nlviz.denoise.registry import denoise
from nlviz.files.local import digest_of
from nlviz.networks.denoising import BlockKind, DenoisingNet
from nlviz.networks.weights import load_into, read_weights
from nlviz.resources import asset
from tests.benchmarks.denoisers_tables import (
    CONTROLS,
    LOCAL,
    MAIN,
    NONLOCAL,
    Table,
    cards,
    findings,
    markdown,
)
from tests.benchmarks.measuring import processor, written

RESULTS = Path(__file__).parent / "results" / "denoisers.json"
GREY = "camera coins moon cell text page brick grass gravel astronaut chelsea coffee rocket".split()
COLOUR = ("astronaut", "chelsea", "coffee", "rocket")
LUMA = (0.299, 0.587, 0.114)
PEERS = ("opencv", "scikit-image", "bm3d")  # packages whose figures change with their versions

Floats = npt.NDArray[np.float32]
Method = Callable[[Floats, Floats, float], float]  # (clean, noisy, sigma) -> dB


@dataclass(frozen=True)
class Setting:
    """One table.

    Attributes:
        sigma: of the noise, of 255.
        size: largest side; the middle of larger pictures is taken.
        colour: RGB, or grey.
        methods: the peers in it.
    """

    sigma: float
    size: int = 512
    colour: bool = False
    methods: tuple[str, ...] = ("non-local means, 5 in 13", "BM3D")


SETTINGS = {
    MAIN: Setting(
        25,
        methods=(
            "non-local means, 7 in 21",
            "non-local means, 5 in 13",
            "OpenCV, 7 in 21, uint8",
            "scikit-image fast, 7 in 21",
            "BM3D",
        ),
    ),
    "grey, sigma 15": Setting(15, size=192),
    "grey, sigma 50": Setting(50, size=192),
    "colour, sigma 25": Setting(
        25,
        size=256,
        colour=True,
        methods=("non-local means, 5 in 13", "OpenCV, 7 in 21, uint8", "BM3D"),
    ),
}


def pictures(setting: Setting) -> dict[str, Floats]:
    """Return clean pictures, (H, W) or (H, W, 3) float in [0, 255]."""
    found = {}
    for name in COLOUR if setting.colour else GREY:
        picture = np.asarray(getattr(data, name)(), np.float32)[..., :3]
        if name not in COLOUR:
            picture = np.asarray(getattr(data, name)(), np.float32)
        elif not setting.colour:
            picture = picture @ np.array(LUMA, np.float32)
        top, left = (max(n - setting.size, 0) // 2 for n in picture.shape[:2])
        found[name] = picture[top : top + setting.size, left : left + setting.size]
    return found


def tuned(name: str, **parameters: Any) -> Method:
    """Return a method whose h is the best on a grid."""

    def run(clean: Floats, noisy: Floats, sigma: float) -> float:
        return oracle(clean, noisy, name, sigma=sigma, data_range=255, **parameters).psnr

    return run


def told(name: str) -> Method:
    """Return a method that is told the true sigma."""

    def run(clean: Floats, noisy: Floats, sigma: float) -> float:
        done = denoise(noisy, name, sigma=sigma, data_range=255)
        return psnr(clean, done, data_range=255)

    return run


def learned(net: DenoisingNet, control: Any = None) -> Method:
    """Return a network as a method."""

    def run(clean: Floats, noisy: Floats, sigma: float) -> float:
        planes = noisy[None] if noisy.ndim == 2 else noisy.transpose(2, 0, 1)
        done = restore(planes / np.float32(255), sigma / 255, net, control=control) * 255
        return psnr(clean, done[0] if noisy.ndim == 2 else done.transpose(1, 2, 0), data_range=255)

    return run


CLASSICAL: dict[str, tuple[str, Method]] = {
    "non-local means, 7 in 21": ("", tuned("non-local-means", patch=7, window=21)),
    "non-local means, 5 in 13": ("", tuned("non-local-means", patch=5, window=13)),
    "OpenCV, 7 in 21, uint8": ("opencv", tuned("opencv-nlm", patch=7, window=21)),
    "scikit-image fast, 7 in 21": (
        "scikit-image",
        tuned("scikit-image-fast", patch=7, window=21),
    ),
    "BM3D": ("bm3d", told("bm3d")),
}


def versions() -> dict[str, str]:
    """Return the versions of the peers."""
    return dict(
        zip(PEERS, (cv2.__version__, version("scikit-image"), version("bm3d")), strict=True)
    )


class Bench:
    """Runs methods on pictures.

    Args:
        kept: stored results whose figures of other packages are taken over where package and noisy
            picture are the same; empty to measure all.
        say: told what is being done.
    """

    def __init__(self, kept: Mapping[str, Any], say: Callable[[str], None]) -> None:
        self.kept = kept if kept.get("versions") == versions() else {}
        self.say = say
        self.digests: dict[str, dict[str, str]] = {}

    def measure(self, key: str, setting: Setting, methods: Mapping[str, Method]) -> Table:
        """Return the decibels of methods on the pictures of one table."""
        table: Table = {}
        for index, (name, clean) in enumerate(pictures(setting).items()):
            noisy = add_noise(clean, setting.sigma, seed=index)
            digest = hashlib.sha256(noisy.tobytes()).hexdigest()[:16]
            self.digests.setdefault(key, {})[name] = digest
            same = self.kept.get("noisy", {}).get(key, {}).get(name) == digest
            before = self.kept["tables"][key].get(name, {}) if same else {}
            row = table.setdefault(name, {})
            for method, run in methods.items():
                self.say(f"{key}: {name}, {method}")
                if CLASSICAL.get(method, ("",))[0] and method in before:
                    row[method] = before[method]
                else:
                    row[method] = round(run(clean, noisy, setting.sigma), 4)
        return table


def seeds_in(folder: Path) -> dict[int, dict[str, Path]]:
    """Return the files of every seed of which both kinds are there."""
    found: dict[int, dict[str, Path]] = {}
    for path in sorted(folder.glob("denoiser-*-*.safetensors")):
        named = re.fullmatch(r"denoiser-(local|nonlocal)-(\d+)", path.stem)
        if named:
            found.setdefault(int(named[2]), {})[named[1]] = path
    return {seed: files for seed, files in sorted(found.items()) if len(files) == 2}


def network(path: Path) -> DenoisingNet:
    """Return the network of a file that the recipe wrote."""
    net = DenoisingNet("local" if "-local-" in path.name else "nonlocal")
    load_into(net, read_weights(path), source=path.name)
    return net.eval().requires_grad_(False)


def looks(net: DenoisingNet, setting: Setting) -> Table:
    """Return how the rows of the non-local block are spread, picture by picture.

    Means over 32 queries spread evenly: the weight of the own cell and of the strongest other, the
    effective number of keys (exponential of the entropy), and how many are reached.
    """
    found: Table = {}
    for index, (name, clean) in enumerate(pictures(setting).items()):
        noisy = add_noise(clean, setting.sigma, seed=index)
        affinity = affinity_of_planes(noisy[None] / np.float32(255), setting.sigma / 255, net)
        query = torch.linspace(0, affinity.queries.size - 1, 32).round().long()
        rows = affinity.rows(query)[0].double()
        own = rows[torch.arange(32), query]
        others = rows.scatter(1, query[:, None], 0.0)
        spread = {
            "own cell": own,
            "strongest other": others.amax(1),
            "effective keys": torch.special.entr(rows).sum(1).exp(),
            "keys": (rows > 0).sum(1).double(),
        }
        found[name] = {what: round(float(value.mean()), 4) for what, value in spread.items()}
    return found


def over_seeds(
    bench: Bench, folder: Path, setting: Setting, bundled: Mapping[str, str], table: Table
) -> dict[str, Any]:
    """Return the figures of every seed's networks on the main table.

    Args:
        bench: what measures.
        folder: of the weights.
        setting: of the main table.
        bundled: digests of the bundled files, by kind.
        table: the main table, which has their figures already.
    """
    found = {}
    for seed, files in seeds_in(folder).items():
        digests = {kind: digest_of(path) for kind, path in files.items()}
        if digests == bundled:
            own = {n: {m: row[m] for m in (LOCAL, NONLOCAL, *CONTROLS)} for n, row in table.items()}
            found[str(seed)] = {"sha256": digests, "table": own}
            continue
        nets = {kind: network(path) for kind, path in files.items()}
        methods = {LOCAL: learned(nets["local"]), NONLOCAL: learned(nets["nonlocal"])}
        methods |= {name: learned(nets["nonlocal"], c) for name, c in CONTROLS.items()}
        bench.say(f"seed {seed}")
        found[str(seed)] = {
            "sha256": digests,
            "table": bench.measure(MAIN, setting, methods),
        }
    return found


def main() -> None:
    """Run the benchmark, print its tables and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="crops of 96 px, no file written")
    parser.add_argument("--weights-folder", type=Path, metavar="DIR", help="weights of more seeds")
    parser.add_argument(
        "--keep-peers",
        action="store_true",
        help="take stored figures of other packages, where version and noisy picture are the same",
    )
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    stored = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}

    def say(what: str) -> None:
        print(f"{what:<70}", end="\r", flush=True)

    bench = Bench(stored if given.keep_peers else {}, say)
    settings = {
        key: Setting(s.sigma, 96, s.colour, s.methods) if given.quick else s
        for key, s in SETTINGS.items()
    }
    bundled = {LOCAL: load("local"), NONLOCAL: load("nonlocal")}
    networks = {name: learned(net) for name, net in bundled.items()}
    networks |= {name: learned(bundled[NONLOCAL], c) for name, c in CONTROLS.items()}
    tables = {
        key: bench.measure(key, s, {m: CLASSICAL[m][1] for m in s.methods} | networks)
        for key, s in settings.items()
    }
    digests = {
        kind: digest_of(asset(f"weights/denoiser-{kind}.safetensors"))
        for kind in get_args(BlockKind)
    }
    seeds = stored.get("seeds", {})
    if given.weights_folder:
        seeds = over_seeds(bench, given.weights_folder, settings[MAIN], digests, tables[MAIN])
    where = looks(bundled[NONLOCAL], settings[MAIN])
    said = findings(tables, seeds, where)
    print(" " * 70, markdown(tables, said), sep="\n")
    if not given.quick:
        result = {
            "conditions": f"one thread, {processor()}; torch {torch.__version__}",
            "versions": versions(),
            "weights": digests,
            "noisy": bench.digests,
            "tables": tables,
            "seeds": seeds,
            "looks": where,
            "findings": said,
            "cards": cards(tables, said),
        }
        given.out.write_text(written(result), "utf-8")
        given.out.with_suffix(".md").write_text(markdown(tables, said).strip() + "\n", "utf-8")


if __name__ == "__main__":
    main()
