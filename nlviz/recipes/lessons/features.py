"""The data of the lesson *From patches to features*: one clip, three affinities, the truth.

Four frames of ``clips/composed-twins.mp4`` (two identical cups and a cat) as they were filmed, and
with the last two frames darker. Kept are what the browser makes rows from: the features that enter
block stage4 of lite-nl, theta and phi as the weights that make them of features, and a small copy
of the frames whose patches non-local means compares. Every control has the mean effective number of
cells of the block's own rows, as on the Explore page.

    python -m nlviz.recipes.lessons features
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

import nlviz
from nlviz.affinity.attention_map import effective_number
from nlviz.affinity.base import Affinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.patches import patch_affinity
from nlviz.affinity.variants import FEATURES, LEARNED, PIXELS
from nlviz.analysis.controls import PATCH_SIDE, SAMPLE, matched, variant_affinity
from nlviz.networks.block import NonLocalBlock
from nlviz.picture import encode, resized, scaled
from nlviz.recipes.composed import ComposedClip
from nlviz.resources import asset
from nlviz.web.payloads.container import pack
from nlviz.web.payloads.sources import Arrays, packed_source

CLIP, FRAMES, BLOCK = "clips/composed-twins", 4, "stage4"
DARKER = 0.6  # what is left of the light in the last half of the frames
PICTURE_SIDE = 240  # shorter side of the frames on the screen, in pixels
CAT = 3  # layer of the truth; 1 and 2 are the cups
VARIANTS = (PIXELS, FEATURES, LEARNED)
BENCHMARK = "tests/benchmarks/results/correspondence.json"
RIVALS = {"nl_means": "pixel non-local means", "features": "raw features, centred cosine",
          "learned": "lite-nl, best temperature", "untrained": "untrained block"}  # fmt: skip

Labels = npt.NDArray[np.uint8]


def make() -> bytes:
    """Return the bytes of the lesson's data."""
    film = nlviz.read_clip(asset(f"{CLIP}.mp4"))
    truth = ComposedClip.load(asset(f"{CLIP}.npz"), film.frames)
    clip = nlviz.read_clip(asset(f"{CLIP}.mp4"), frames=FRAMES)
    labels = labels_of(clip, film, truth)
    model = nlviz.load_model("lite-nl", device="cpu")
    arrays: Arrays = {}
    sources: dict[str, list[dict[str, Any]]] = {}
    shares = []
    for light in ("filmed", "darker"):
        seen = clip if light == "filmed" else replace(clip, frames=darker(clip.frames))
        capture = model.capture(seen)
        found = affinities(capture, clip)
        packed: Arrays = {}
        sources[light] = []
        for variant, affinity in zip(VARIANTS, found, strict=True):
            entry = packed_source(variant, affinity, packed)
            entry |= {"log_normaliser": None}  # no columns are asked for
            if variant is PIXELS:
                arrays.setdefault("picture", packed[entry["picture"]])
                entry["picture"] = f"{light}.picture"
            else:
                names = ("unit", "unit") if variant is FEATURES else ("theta", "phi")
                entry |= {k: f"{light}.{n}" for k, n in zip(("theta", "phi"), names, strict=True)}
            sources[light].append(entry)
        x = capture.features[BLOCK].float().flatten(1).mT
        arrays[f"{light}.x"] = x.numpy().astype(np.float16)
        shares.append([on_objects(a, labels) for a in found])
    block = capture.blocks[BLOCK]
    assert isinstance(block, NonLocalBlock)
    for name in ("theta", "phi"):
        conv: Any = getattr(block, name)
        arrays[f"{name}.weight"] = conv.weight.detach().flatten(1).numpy()
        arrays[f"{name}.bias"] = conv.bias.detach().numpy()
    learned, patches = capture.affinities[BLOCK], found[0]
    arrays["labels.cells"] = cell_labels(labels, learned.queries)
    arrays["labels.pixels"] = cell_labels(labels, patches.queries)
    arrays["shares"] = np.array(shares, np.float32)  # (light, f, whom, cells)
    for n, frame in enumerate(clip.frames):
        size = scaled(frame.shape, PICTURE_SIDE / min(frame.shape[:2]))
        arrays[f"frame{n}"] = np.frombuffer(encode(resized(frame, size), "jpeg"), np.uint8)
    t, height, width = clip.shape
    head = {
        "clip": {"name": clip.name, "frames": t, "height": height, "width": width},
        "darker": DARKER,
        "twins": [int(n) for n in _other_twin(truth)],
        "sources": sources,
        "benchmark": benchmark(),
        "numbers": numbers(np.array(shares), arrays["labels.cells"], block, model.net),
    }
    return pack(head, arrays)


def darker(frames: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return frames of which the last half is darker."""
    out = frames.copy()
    late = slice(len(frames) // 2, None)
    out[late] = np.floor(frames[late] * DARKER + 0.5)
    return out


def affinities(capture: nlviz.Capture, clip: nlviz.Clip) -> list[Affinity]:
    """Return non-local means, raw features and the block's own affinity on a clip.

    Non-local means compares the small copy of the clip as it was filmed, made darker where the clip
    is: so that the browser can do the same.
    """
    learned = capture.affinities[BLOCK]
    raw = variant_affinity(FEATURES, capture, BLOCK)
    size = scaled(clip.shape[1:], PATCH_SIDE / min(clip.shape[1:]))
    picture = np.stack([resized(f, size) for f in clip.frames])
    if not np.array_equal(capture.clip.frames, clip.frames):
        picture = darker(picture)
    patches = patch_affinity(picture, clip_shape=clip.shape, h=1.0, patch=7, step=4)
    rows = learned.rows(learned.evenly(SAMPLE)).float()
    share = float(effective_number(rows).mean()) / learned.keys.size
    index = patches.evenly(SAMPLE // 2)
    scale = matched(-patches.distances(index)[None], share * patches.keys.size)
    return [replace(patches, h=scale**-0.5), raw, learned]


def labels_of(clip: nlviz.Clip, film: nlviz.Clip, truth: ComposedClip) -> Labels:
    """Return (T, H, W) the layer of every pixel of a clip's frames."""
    at = [int(np.abs(np.asarray(film.times) - time).argmin()) for time in clip.times]
    return truth.labels[at]


def cell_labels(labels: Labels, grid: TokenGrid) -> Labels:
    """Return (t, h, w) the layer at the centre of every cell of a grid."""
    _, y, x = (np.rint(np.asarray(c)).astype(int).ravel() for c in grid.centres())
    height, width = labels.shape[1:]
    found: Labels = labels[:, y.clip(0, height - 1)][:, :, x.clip(0, width - 1)]
    return found


def on_objects(affinity: Affinity, labels: Labels) -> npt.NDArray[np.float64]:
    """Return (3, cells) where rows go, by cell of stage4's grid; 0 for cells of the background.

    Of what a row gives to the *other* frames: the share on the same object, the share on its twin,
    and 1 where the largest weight lies on the same object.
    """
    capture_grid = _block_grid(labels)
    own = cell_labels(labels, capture_grid).ravel()
    keys = cell_labels(labels, affinity.keys).ravel()
    frames, height, width = capture_grid.shape
    frame_of = np.repeat(np.arange(frames), affinity.keys.size // frames)
    out = np.zeros((3, len(own)))
    chosen = np.flatnonzero(own)
    for cell in chosen:
        point = capture_grid.centre(int(cell))
        index = affinity.queries.nearest(frame=point.frame, y=point.y, x=point.x)
        logits = affinity.logits(torch.tensor([index]))[0, 0].double().numpy()
        logits[frame_of == cell // (height * width)] = -np.inf
        row = np.exp(logits - logits.max())
        row /= row.sum()
        twin = {1: 2, 2: 1}.get(int(own[cell]), -1)
        same = keys == own[cell]
        out[:, cell] = row[same].sum(), row[keys == twin].sum(), same[row.argmax()]
    return out


def _block_grid(labels: Labels) -> TokenGrid:
    """The grid of stage4: 14 x 25 cells a frame, placed as lite-nl places them."""
    t, height, width = labels.shape
    stride = (height / 14, width / 25)
    scale = (height / 224, width / 400)
    origin = tuple((7.5 + 0.5) * s - 0.5 for s in scale)
    return TokenGrid((t, 14, 25), (1.0, *stride), (0.0, *origin))


def _other_twin(truth: ComposedClip) -> list[int]:
    """For every layer the other one that looks alike, or -1."""
    twins = truth.twins
    pairs = {n: m for n in range(len(twins)) for m in range(len(twins))
             if n != m and twins[n] == twins[m]}  # fmt: skip
    return [pairs.get(n, -1) for n in range(len(twins))]


def benchmark() -> dict[str, Any]:
    """Return what the project's benchmark measured on many clips that training never saw.

    By frames (clean, noisy) and affinity: the share of strongest links on the same object, with the
    ends of its 95 % interval over clips.
    """
    told = json.loads((asset("README.md").parents[1] / BENCHMARK).read_text())
    found: dict[str, Any] = {"clips": told["clips"], "queries": told["queries per clip"],
                             "sigma": told["sigma"], "top1": {}}  # fmt: skip
    for frames in ("clean", "noisy"):
        links = told["links"][f"{BLOCK}, {frames} frames: composed"]
        found["top1"][frames] = {
            key: next(v["top-1 object"] for name, v in links.items() if name.startswith(rival))
            for key, rival in RIVALS.items()
        }
    return found


def numbers(
    shares: npt.NDArray[np.float64], cells: Labels, block: NonLocalBlock, net: nn.Module
) -> dict[str, float]:
    """Return the figures that texts quote."""
    own = cells.ravel()
    objects, cat, cups = own > 0, own == CAT, (own > 0) & (own < CAT)
    found = {"objects": int(objects.sum()), "cups": int(cups.sum()), "channels": block.channels,
             "theta_numbers": block.channels**2 + block.channels,
             "frames": int(cells.shape[0]), "darker": DARKER}  # fmt: skip
    for n, light in enumerate(("filmed", "darker")):
        for m, variant in enumerate(VARIANTS):
            found[f"cat_{variant.key}_{light}"] = float(shares[n, m, 0, cat].mean())
            found[f"all_{variant.key}_{light}"] = float(shares[n, m, 0, objects].mean())
    for m, variant in enumerate(VARIANTS):
        found[f"cups_first_{variant.key}"] = float(shares[0, m, 2, cups].mean())
    wins = shares[0, 2, 0, objects] > shares[0, 1, 0, objects]
    found["learned_wins"] = float(wins.mean())
    told = benchmark()
    found |= {"patch": patch_side(), "sees": receptive_side(net)}
    found |= {f"bench_{key}": told[key] for key in ("clips", "queries", "sigma")}
    return found


def patch_side() -> float:
    """Return the side of a patch in pixels of the clip."""
    return 7 * 360 / PATCH_SIDE


@torch.enable_grad()
def receptive_side(net: Any) -> float:
    """Return the side of the square that one feature of stage4 depends on, in pixels of the clip.

    It is measured: where the gradient of a feature in the middle of a frame is not zero, by the
    backbone alone.
    """
    pixels = torch.rand(1, 3, 1, 608, 608, generator=torch.Generator().manual_seed(0))
    x: Tensor = (pixels * 2 - 1).requires_grad_(True)
    features = net._middle(net._stem(x[:, :, 0]))
    features[0, :, 19, 19].sum().backward()
    assert x.grad is not None
    rows = x.grad[0, :, 0].abs().sum((0, 2)).nonzero()
    return float(rows.max() - rows.min() + 1) * 360 / 224
