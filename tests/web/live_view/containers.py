"""Containers for the tests: a moving square whose affinity is the truth, and noise."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from nlviz.picture import GROUND, colour_table
from nlviz.web.payloads.container import pack
from nlviz.web.payloads.live_view import display_options

Floats = npt.NDArray[np.float32]
Frames = npt.NDArray[np.uint8]


def square_clip(frames: int = 4, height: int = 96, width: int = 128, side: int = 32) -> Frames:
    """Return (T,H,W,3): a textured square that moves by one cell a frame over a textured ground."""
    rng = np.random.default_rng(7)
    ground = cv2.resize(rng.integers(60, 120, (12, 16, 3), np.uint8), (width, height))
    texture = cv2.resize(rng.integers(0, 255, (8, 8, 3), np.uint8), (side, side))
    clip: Frames = np.repeat(ground[None], frames, 0).astype(np.uint8)
    for t in range(frames):
        left = 16 + 16 * t
        clip[t, 32 : 32 + side, left : left + side] = texture
    return clip


def patch_features(clip: Frames, cell: int) -> Floats:
    """Return (tokens, d) standardised pixels of each cell: what a truthful map compares."""
    t, height, width, _ = clip.shape
    h, w, fine = height // cell, width // cell, 4
    small = np.stack(
        [cv2.resize(f, (w * fine, h * fine), interpolation=cv2.INTER_AREA) for f in clip]
    )
    cells = small.reshape(t, h, fine, w, fine, 3).transpose(0, 1, 3, 2, 4, 5)
    flat = cells.reshape(t * h * w, -1).astype(np.float32)
    flat = flat - flat.mean(0)
    unit: Floats = flat / np.linalg.norm(flat, axis=1, keepdims=True)
    return unit


def grid(shape: tuple[int, int, int], stride: tuple[float, float, float]) -> dict[str, Any]:
    """Return a grid whose first cell begins in the corner of the first frame."""
    return {"shape": shape, "stride": stride, "origin": [(s - 1) / 2 for s in stride]}


def frame_sections(clip: Frames) -> dict[str, npt.NDArray[Any]]:
    """Return the sections every container has: JPEG frames and two colour tables."""
    sections: dict[str, npt.NDArray[Any]] = {
        "lut_seq": colour_table("sequential"),
        "lut_div": colour_table("diverging"),
    }
    for n, frame in enumerate(clip):
        done, jpeg = cv2.imencode(".jpg", frame[..., ::-1])
        if not done:
            raise RuntimeError("a JPEG must be written for the test, and was not")
        sections[f"frame{n}"] = jpeg.ravel()
    return sections


def header(clip: Frames, sources: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """Return a header for these sources."""
    t, height, width, _ = clip.shape
    return {
        "clip": {
            "name": "moving square",
            "frames": t,
            "height": height,
            "width": width,
            "times": [round(0.4 * n, 3) for n in range(t)],
        },
        "model": {"name": "toy", "about": "not trained", "device": "CPU"},
        "block": {"name": "cells", "about": "pixels of each cell", "parity": None},
        "pictures": {"kind": "jpeg", "sections": [f"frame{n}" for n in range(t)]},
        "colours": {"sequential": "lut_seq", "diverging": "lut_div", "ground": asdict(GROUND)},
        "display": display_options(),
        "sources": sources,
        "query": {"frame": 1, "y": 40, "x": 40},
        "query_rule": "the most mobile textured point",
        "view": {},
        "channel": "test",
        **more,
    }


def embedded(
    key: str, queries: dict[str, Any], keys: dict[str, Any], **more: Any
) -> dict[str, Any]:
    """Return the header entry of an embedded source; its sections are ``key.theta`` and so on."""
    return {
        "key": key,
        "label": key.capitalize(),
        "note": f"the source called {key}",
        "kind": "embedded",
        "pairwise": "embedded_gaussian",
        "scale": 1.0,
        "signed": False,
        "softmax": True,
        "heads": 1,
        "queries": queries,
        "keys": keys,
        "support": {"kind": "all"},
        "theta": f"{key}.theta",
        "phi": f"{key}.phi",
        "bias": None,
        "log_normaliser": None,
        "server": False,
        **more,
    }


def log_normaliser(theta: Floats, phi: Floats, scale: float) -> Floats:
    """Return (heads, queries) log of the sum over keys of exp(scale theta.phi)."""
    logits = scale * np.einsum("hqd,hkd->hqk", theta, phi)
    top = logits.max(-1)
    total: Floats = (top + np.log(np.exp(logits - top[..., None]).sum(-1))).astype(np.float32)
    return total


def square_container(frames: int = 4, **more: Any) -> bytes:
    """Return a container with five sources of the moving square; the first two are truthful."""
    clip = square_clip(frames)
    t, height, width, _ = clip.shape
    cell = 8
    tokens = grid((t, height // cell, width // cell), (1, cell, cell))
    features = patch_features(clip, cell)[None]
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(1, features.shape[1], 16)).astype(np.float32)
    sections = frame_sections(clip)
    sources = []
    heads = np.concatenate([features, features[:, ::-1] * 0.2])
    for key, theta, scale, extra in (
        ("learned", features, 24.0, {}),
        ("features", features, 8.0, {}),
        ("position", noise * 0.3, 1.0, {}),
        ("untrained", heads, 6.0, {"heads": 2}),
        ("dot", noise, 1.0, {"pairwise": "dot_product", "signed": True, "softmax": False}),
    ):
        sections[f"{key}.theta"] = theta.astype(np.float16)
        sections[f"{key}.phi"] = theta.astype(np.float16)
        if not extra.get("signed"):
            sections[f"{key}.lse"] = log_normaliser(theta, theta, scale)
            extra = {**extra, "log_normaliser": f"{key}.lse"}
        sources.append(embedded(key, tokens, tokens, scale=scale, **extra))
    return pack(header(clip, sources, **more), sections)


def random_container(
    queries: tuple[int, int, int],
    keys: tuple[int, int, int],
    d: int,
    heads: int = 1,
    pixels: int = 224,
) -> bytes:
    """Return a container of random embeddings on a clip of noise, for the benchmark."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (queries[0], 14, 14, 3), np.uint8)
    clip = np.stack([cv2.resize(f, (pixels, pixels)) for f in coarse])
    grids = [grid(s, (queries[0] / s[0], pixels / s[1], pixels / s[2])) for s in (queries, keys)]
    sections = frame_sections(clip)
    for name, shape in (("theta", queries), ("phi", keys)):
        values = rng.normal(size=(heads, int(np.prod(shape)), d)) * (4 / d**0.5) ** 0.5
        sections[f"learned.{name}"] = values.astype(np.float16)
    return pack(header(clip, [embedded("learned", *grids, heads=heads)]), sections)
