"""The cards of the denoisers: of the files they lie beside, with figures of these very weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nlviz.files.local import digest_of
from nlviz.networks.denoising import DenoisingNet
from nlviz.recipes.denoiser import write
from nlviz.recipes.denoiser_card import bundle, list_digests
from nlviz.resources import asset

KINDS = ("local", "nonlocal")
RESULTS = Path(__file__).parents[1] / "benchmarks" / "results" / "denoisers.json"


@pytest.mark.parametrize("kind", KINDS)
def test_the_bundled_card_is_of_its_file(kind: str) -> None:
    weights = asset(f"weights/denoiser-{kind}.safetensors")
    card = json.loads(weights.with_suffix(".json").read_text("utf-8"))
    assert card["sha256"] == digest_of(weights)
    assert card["file"] == weights.name
    assert card["parameters"] == sum(p.numel() for p in DenoisingNet(kind).parameters())
    assert sum(int(s["what"].split()[0]) for s in card["saw"]) == 37
    assert {"licence", "licence question", "never saw", "limits", "command"} <= card.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_the_figures_told_are_those_of_the_bundled_weights(kind: str) -> None:
    measured = json.loads(RESULTS.read_text("utf-8"))
    weights = asset(f"weights/denoiser-{kind}.safetensors")
    assert measured["weights"][kind] == digest_of(weights)
    card = json.loads(weights.with_suffix(".json").read_text("utf-8"))
    assert card["validation"] == measured["cards"][kind]
    # The seed that is bundled is one of those over which the spread is told.
    seeds = measured["seeds"]
    if seeds:
        assert seeds[str(card["seed"])]["sha256"][kind] == card["sha256"]


def test_both_kinds_of_one_seed_are_bundled(tmp_path: Path) -> None:
    made, out = tmp_path / "made", tmp_path / "out"
    made.mkdir()
    out.mkdir()
    for seed in (0, 4):
        for kind in KINDS:
            average = DenoisingNet(kind).state_dict()
            write(average, made / f"denoiser-{kind}-{seed}.safetensors", kind=kind, seed=seed)
    figures = {"cards": {"local": {"PSNR": "30 dB"}, "nonlocal": {"PSNR": "31 dB"}}}
    files = bundle(made, 4, figures, out)
    assert [f.name for f in files] == [
        f"denoiser-{kind}.{end}" for kind in KINDS for end in ("safetensors", "json")
    ]
    card = json.loads(files[3].read_text("utf-8"))
    assert (
        card["sha256"] == digest_of(files[2]) == digest_of(made / "denoiser-nonlocal-4.safetensors")
    )
    assert card["seed"] == 4 and card["validation"] == {"PSNR": "31 dB"}
    # Written anew without figures and weights: only what is measured changes.
    bundle(None, 4, None, out)
    again = json.loads(files[3].read_text("utf-8"))
    assert again.pop("validation") == "not measured yet"
    assert again.items() <= card.items()


def test_digests_go_into_their_rows_alone(tmp_path: Path) -> None:
    file, readme = tmp_path / "a.json", tmp_path / "README.md"
    file.write_text("{}")
    readme.write_text(
        "| file | sha256 |\n| `weights/a.json` | `old` |\n| `weights/ab.json` | `x` |\n"
    )
    list_digests(readme, [file])
    assert readme.read_text().splitlines()[1:] == [
        f"| `weights/a.json` | `{digest_of(file)}` |",
        "| `weights/ab.json` | `x` |",
    ]
