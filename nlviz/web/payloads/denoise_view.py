"""Packs what denoisers average into the bytes that the live view shows, without any network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.affinity.base import Affinity
from nlviz.affinity.patches import PatchAffinity
from nlviz.affinity.variants import Variant
from nlviz.analysis.opening_query import RULE_AVERAGING as RULE
from nlviz.analysis.opening_query import averaging_query
from nlviz.clips.clip import Clip
from nlviz.clips.point import Point, Triple
from nlviz.errors import NlvizError
from nlviz.web.payloads.container import pack
from nlviz.web.payloads.live_view import on_screen
from nlviz.web.payloads.sources import Arrays, packed_source


def denoise_view(
    clip: Clip,
    affinities: Mapping[str, Affinity],
    *,
    labels: Mapping[str, str] | None = None,
    notes: Mapping[str, str] | None = None,
    query: Point | Triple | None = None,
    query_rule: str = "as asked for",
    display: Mapping[str, Any] | None = None,
    channel: str | None = None,
    device: str | None = None,
    clean: npt.NDArray[Any] | None = None,
    white: float = 255.0,
) -> bytes:
    """Return the bytes of a live view of what denoisers average, for any pixel.

    Below the picture it shows the query's window, what each pixel counts, the best patches, and the
    weighted sum that makes the output pixel.

    Args:
        clip: what is seen: the noisy picture or clip, clipped to what a screen shows.
        affinities: by key, such as those of :func:`nlviz.denoise.affinity`; the first is shown.
            The pixels that are summed are those of the first one that is made of patches.
        labels: names on the screen by key; the key itself by default.
        notes: one plain sentence on each, by key.
        query: (frame, y, x) to open at; by a stated rule when None.
        query_rule: what chose the query, in words.
        display: the view's display options.
        channel: name under which a mounted view can be moved.
        device: what the rows were made ready on.
        clean: the picture without noise, (H, W), (H, W, 3) or (T, H, W, 3), in units of the pixels.
        white: value of white in these units.

    Raises:
        NlvizError: when there is no affinity made of patches, or one has rows that a browser
            cannot derive.

    >>> from nlviz.denoise import affinity
    >>> noisy = np.random.default_rng(0).normal(128, 20, (24, 32))
    >>> seen = np.repeat(noisy.clip(0, 255).astype(np.uint8)[None, ..., None], 3, 3)
    >>> clip = Clip.from_frames(seen)
    >>> shown = {name: affinity(noisy, name, sigma=20) for name in ("nl_means", "mean")}
    >>> from nlviz.web.payloads.container import unpack
    >>> header, arrays = unpack(denoise_view(clip, shown, clean=noisy))
    >>> [source["key"] for source in header["sources"]], arrays["nl_means.picture"].shape
    (['nl_means', 'mean'], (1, 24, 32, 1))
    """
    patches = next((a for a in affinities.values() if isinstance(a, PatchAffinity)), None)
    if patches is None:
        raise NlvizError(
            "this view sums pixels, so that one affinity must be made of patches; add "
            "nlviz.denoise.affinity(image, 'nl_means')"
        )
    if query is None:
        query, query_rule = averaging_query(patches), RULE
    arrays: Arrays = {}
    shown = on_screen(clip, arrays)
    sources = []
    for key, affinity in affinities.items():
        label, note = (labels or {}).get(key, key), (notes or {}).get(key, "")
        sources.append(packed_source(Variant(key, label, note), affinity, arrays))
        if isinstance(affinity, PatchAffinity):
            _share_picture(sources, arrays)
    pixels = next(s["picture"] for s in sources if s["kind"] == "patch")
    if clean is not None:
        arrays["clean"] = np.asarray(clean, np.float32).reshape(arrays[pixels].shape)
    header = {
        **shown,
        "model": {"name": "what is averaged", "about": "", "device": device},
        "block": {"name": "", "about": "", "note": None, "parity": None},
        "pixels": {
            "section": pixels,
            "clean": None if clean is None else "clean",
            "white": white,
            "sigma": patches.sigma,
        },
        "sources": sources,
        "query": Point(*query)._asdict(),
        "query_rule": query_rule,
        "objects": [],
        "view": {"show": "map", **(display or {})},
        "channel": channel,
    }
    return pack(header, arrays)


def _share_picture(sources: list[dict[str, Any]], arrays: Arrays) -> None:
    """Send the pixels once where several sources compare the same ones."""
    *before, last = sources
    for other in before:
        same = other["kind"] == "patch" and np.array_equal(
            arrays[other["picture"]], arrays[last["picture"]]
        )
        if same and other["picture"] != last["picture"]:
            del arrays[last["picture"]]
            last["picture"] = other["picture"]
            return
