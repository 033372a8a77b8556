"""The training of lite-nl's blocks: what is drawn, in which order, and how it is resumed.

For each block in turn, ``stage3`` and then ``stage4`` behind it: theta and phi learn to find the
same point in other frames (`matching`), then g and W_z learn to restore clean features
(`restoring`). Everything is drawn from one seed; an interrupted run goes on from its checkpoint
and ends at the same weights.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nlviz.errors import NlvizError
from nlviz.networks.block import NonLocalBlock
from nlviz.networks.lite_nl import LiteNL
from nlviz.recipes import matching, restoring
from nlviz.recipes.composed import Picture
from nlviz.recipes.feature_bank import FeatureBank, Sample, at_stage3, at_stage4
from nlviz.recipes.footage import list_films, read_film, read_photos

CLEAN = 4.0  # weight of clean frames when g and W_z are solved for
OnStep = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Plan:
    """How much to train on, and how long.

    Attributes:
        seed: of everything that is drawn.
        steps: of the optimiser, per block.
        clips: composed clips.
        windows: windows of footage.
        held_out: composed clips of held-out photos, to validate on.
        batch: clips of a step; a third of them footage.
        queries: queries per clip.
        rate: learning rate of Adam at the start; it falls to zero along a cosine.
        size: height and width of the clips in pixels, multiples of 16.
    """

    seed: int = 0
    steps: int = 600
    clips: int = 600
    windows: int = 160
    held_out: int = 40
    batch: int = 6
    queries: int = 192
    rate: float = 3e-3
    size: tuple[int, int] = (224, 304)


@dataclass(frozen=True, eq=False)
class Material:
    """What there is to train on.

    Attributes:
        photos: pictures to compose training clips from.
        held_out: pictures to compose validation clips from.
        films: (T, H, W, 3) footage.
    """

    photos: Sequence[Picture]
    held_out: Sequence[Picture]
    films: Sequence[Picture]


def gather(
    photos: Sequence[Path], footage: Sequence[Path], *, shown: Callable[[str], None] = print
) -> Material:
    """Read folders of photos and footage; every sixth photo is held out for validation.

    A few frames of every film join the photos, so that objects are cut from footage too.

    Raises:
        NlvizError: when there are fewer than two photos.
    """
    named = read_photos(photos)
    films = [read_film(path) for path in list_films(footage)]
    if len(named) < 2:
        raise NlvizError(
            f"training needs at least two photos, the folders hold {len(named)}; add --photos DIR"
        )
    pictures = list(named.values())
    held = pictures[::6]
    kept = [p for i, p in enumerate(pictures) if i % 6]
    stills = [film[t] for film in films for t in np.linspace(0, len(film) - 1, 5).astype(int)]
    shown(f"{len(kept)} photos, {len(held)} held out, {len(films)} films")
    return Material(kept + stills, held, films)


class Training:
    """One run of the recipe, with its checkpoint.

    Args:
        plan: how much and how long.
        material: what to train on.
        work: folder of the checkpoint and of the features.
        backbone: state of the backbone, keyed as in timm.
        device: where to compute.
        progress: called with a phase, the number of steps done and of all steps.
    """

    def __init__(
        self,
        plan: Plan,
        material: Material,
        work: Path,
        backbone: dict[str, Tensor],
        *,
        device: torch.device | None = None,
        progress: OnStep = lambda phase, done, total: None,
    ) -> None:
        """Build the network and read the checkpoint, if there is one."""
        self.plan, self.work, self.progress = plan, work, progress
        self.device = device or torch.device("cpu")
        torch.manual_seed(plan.seed)
        self.net = LiteNL()
        self.net.backbone.load_state_dict(halved(backbone))
        self.net.to(self.device).eval().requires_grad_(False)
        kinds = {"training": material.photos, "validation": material.held_out}
        self.banks = {
            kind: FeatureBank(
                self.net,
                work / kind,
                photos=photos,
                films=material.films if kind == "training" else (),
                seed=plan.seed + (kind == "validation") * 7919,
                size=plan.size,
                sigma=50.0 if kind == "validation" else None,
                device=self.device,
            )
            for kind, photos in kinds.items()
        }
        self.done: list[str] = []
        self.report: dict[str, Any] = {}
        self.control: dict[str, Tensor] = {}
        self._optimiser: dict[str, Any] | None = None
        self._step = 0
        if self._checkpoint.exists():
            self._resume()

    def run(self, *, until: int | None = None) -> dict[str, Any]:
        """Train both blocks and return the validation figures.

        Args:
            until: stop after this many optimiser steps in all, as an interruption would.
        """
        plan, banks = self.plan, self.banks
        clips = banks["training"].composed(plan.clips, self._telling("clips", plan.clips))
        windows = banks["training"].footage(plan.windows, self._telling("footage", plan.windows))
        held_out = banks["validation"].composed(
            plan.held_out, self._telling("held-out clips", plan.held_out)
        )
        taken = 0
        for name in ("stage3", "stage4"):
            if f"{name} restore" in self.done:
                taken += plan.steps
                continue
            composed, targets = self._entering(name, clips)
            footage, _ = self._entering(name, windows)
            validation, wanted = self._entering(name, held_out)
            block: NonLocalBlock = getattr(self.net, name)
            if f"{name} match" not in self.done:
                left = None if until is None else until - taken
                if not self._match(name, block, composed, footage, left):
                    return self.report
            taken += plan.steps
            self._restore(name, block, composed, targets, validation, wanted)
        return self.report

    def _telling(self, phase: str, total: int) -> Callable[[int], None]:
        return lambda done: self.progress(phase, done, total)

    def _entering(
        self, name: str, stored: Sequence[dict[str, Any]]
    ) -> tuple[list[Sample], list[Tensor]]:
        """Return samples that enter a block, and the clean features it should restore."""
        if name == "stage3":
            samples = [at_stage3(s) for s in stored]
            return samples, [s.clean for s in samples]
        pairs = []
        for index, s in enumerate(stored, start=1):
            pairs.append(at_stage4(self.net, s, self.device))
            self.progress("features of stage4", index, len(stored))
        return [p[0] for p in pairs], [p[1] for p in pairs]

    def _match(
        self,
        name: str,
        block: NonLocalBlock,
        composed: Sequence[Sample],
        footage: Sequence[Sample],
        until: int | None,
    ) -> bool:
        """Train theta and phi; return False when stopped before the end."""
        plan = self.plan
        if self._optimiser is None:
            matching.initialise(block, [*composed, *footage][:: max(1, len(composed) // 200)])
        trained = [p for n, p in block.named_parameters() if n.split(".")[0] not in ("g", "out")]
        for parameter in trained:
            parameter.requires_grad_(True)
        optimiser = torch.optim.Adam(trained, lr=plan.rate)
        if self._optimiser is not None:
            optimiser.load_state_dict(self._optimiser)
        number = int(name[-1])
        for step in range(self._step, plan.steps):
            if until is not None and step >= until:
                self._save(optimiser, step)
                return False
            rate = plan.rate * 0.5 * (1 + math.cos(math.pi * step / plan.steps))
            optimiser.param_groups[0]["lr"] = rate
            rng = np.random.default_rng([plan.seed, number, step])
            loss = torch.zeros((), device=self.device)
            for member in range(plan.batch):
                if footage and member % 3 == 2:
                    one = footage[int(rng.integers(len(footage)))]
                    loss = loss + matching.copying_loss(block, one, rng, queries=plan.queries)
                else:
                    one = composed[int(rng.integers(len(composed)))]
                    part = matching.correspondence_loss(block, one, rng, queries=plan.queries)
                    loss = loss + part
            optimiser.zero_grad()
            (loss / plan.batch).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            self.progress(f"{name}: theta and phi", step + 1, plan.steps)
            if (step + 1) % 100 == 0:
                self._save(optimiser, step + 1)
        for parameter in trained:
            parameter.requires_grad_(False)
        self._finish(f"{name} match")
        return True

    def _restore(
        self,
        name: str,
        block: NonLocalBlock,
        composed: Sequence[Sample],
        targets: Sequence[Tensor],
        validation: Sequence[Sample],
        wanted: Sequence[Tensor],
    ) -> None:
        """Solve for g and W_z, and measure everything on the held-out clips."""
        see = restoring.gathering(block)
        # Clean frames count more, so that the block leaves them nearly as they are; every other
        # clip is cut to one frame, as a photo has no other.
        fit = [
            (x[: 1 + (len(x) - 1) * (index % 2)], y[: 1 + (len(y) - 1) * (index % 2)], weight)
            for index, (s, y) in enumerate(list(zip(composed, targets, strict=True))[:240])
            for x, weight in ((s.seen, 1.0), (s.clean, CLEAN))
        ]
        restored = restoring.regress(fit, see)
        control = restoring.regress(fit, restoring.cells)
        errors = {}
        for kind in ("seen", "clean"):
            pairs = [(getattr(s, kind), y) for s, y in zip(validation, wanted, strict=True)]
            errors["noisy" if kind == "seen" else "clean"] = {
                "untouched": restoring.remaining_error(pairs, None),
                "per-position control": restoring.remaining_error(pairs, control),
                "block": restoring.remaining_error(pairs, restored, see),
            }
        restoring.put_into(block, restored)
        self.control[f"{name}.weight"], self.control[f"{name}.bias"] = control
        links = {
            condition: {
                "learned": matching.measure(matching.learned(block), validation, degraded=degraded),
                "cosine of the same features": matching.measure(
                    matching.cosine, validation, degraded=degraded
                ),
            }
            for condition, degraded in (("clean", False), ("noisy", True))
        }
        self.report[name] = {
            "links": links,
            "remaining error": errors,
            "scale": float(block.logit_scale()),
        }
        self._finish(f"{name} restore")

    @property
    def _checkpoint(self) -> Path:
        return self.work / "checkpoint.pt"

    def _finish(self, phase: str) -> None:
        self.done.append(phase)
        self._save(None, 0)
        self._optimiser, self._step = None, 0

    def _save(self, optimiser: torch.optim.Optimizer | None, step: int) -> None:
        blocks = {k: v for k, v in self.net.state_dict().items() if not k.startswith("backbone.")}
        state = {
            "plan": json.dumps(asdict(self.plan)),
            "blocks": blocks,
            "done": self.done,
            "report": json.dumps(self.report),
            "control": self.control,
            "step": step,
            "optimiser": None if optimiser is None else optimiser.state_dict(),
        }
        partial = self._checkpoint.with_suffix(".part")
        torch.save(state, partial)
        partial.replace(self._checkpoint)

    def _resume(self) -> None:
        state = torch.load(self._checkpoint, map_location=self.device, weights_only=True)
        if state["plan"] != json.dumps(asdict(self.plan)):
            raise NlvizError(
                f"the checkpoint in {self.work} belongs to another plan ({state['plan']}); give "
                "the same options or another --work folder"
            )
        self.net.load_state_dict(state["blocks"], strict=False)
        self.done, self.report = state["done"], json.loads(state["report"])
        self.control = state["control"]
        self._optimiser, self._step = state["optimiser"], state["step"]


def halved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Round to half precision, as the bundled file keeps the backbone, and back."""
    return {k: v.half().float() if v.is_floating_point() else v for k, v in state.items()}
