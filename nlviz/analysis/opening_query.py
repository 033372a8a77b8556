"""Where to look first: a rule, so that the opening query is no accident and no choice of ours."""

from __future__ import annotations

import math
from contextlib import suppress

import cv2
import numpy as np
import numpy.typing as npt

from nlviz.affinity.attention_map import effective_number
from nlviz.affinity.base import Affinity
from nlviz.affinity.patches import PatchAffinity
from nlviz.affinity.token_line import TokenLine
from nlviz.affinity.token_nodes import TokenNodes
from nlviz.clips.clip import Clip
from nlviz.clips.point import Point
from nlviz.errors import OutsideClip
from nlviz.picture import resized, scaled

Grey = npt.NDArray[np.float32]
RULE = "opens at the textured point of the middle frame that moves most"
RULE_AVERAGING = "opens at the textured point that averages most pixels"
RULE_STILL = "opens at the most textured point"
RULES_NAMED = {
    "line": "opens at the middle word",
    "boxes": "opens at the first box that can be pointed at",
    "nodes": "opens at the node that sees most others",
}


def opening_query(clip: Clip, affinity: Affinity) -> tuple[Point, str]:
    """Return the point to open at, and the rule that chose it.

    It is the token of the middle frame where texture and motion are most.

    Texture is the smaller eigenvalue of the structure tensor (Shi and Tomasi 1994), motion the mean
    absolute difference to the first and last frame once the shift of the whole picture between them
    (phase correlation) is undone; both are averaged over a cell, and cells at the border are left
    out. A clip of one frame goes by texture alone. Among words it is the middle one that somebody
    wrote, among boxes the first, among nodes the one that sees most others.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> clip = nlviz.read_clip(asset("photos/coffee.jpg"), size=128)
    >>> affinity = nlviz.load_model("lite-nl").capture(clip).affinities["stage4"]
    >>> opening_query(clip, affinity)[1]
    'opens at the most textured point'
    """
    if affinity.queries.names:
        return _named(affinity)
    t, height, width = clip.shape
    # A block that ran on one object of one frame has queries there alone.
    first, last = (affinity.queries.centre(i)[0] for i in (0, affinity.queries.size - 1))
    middle = min(max(t // 2, math.ceil(first)), max(math.floor(last), math.ceil(first)), t - 1)
    scale = min(1.0, 240 / min(height, width))
    size = scaled((height, width), scale, least=8)
    small = [resized(clip.frames[i], size) for i in sorted({0, middle, t - 1})]
    grey = [cv2.cvtColor(f, cv2.COLOR_RGB2GRAY).astype(np.float32) for f in small]
    now = grey[len(grey) // 2]
    score = np.sqrt(np.maximum(cv2.cornerMinEigenVal(now, 7), 0))
    if t > 1:
        others = [_aligned(other, now) for other in grey if other is not now]
        motion = np.mean([np.abs(now - other) for other in others], axis=0)
        score = score * motion
    score = cv2.blur(score.astype(np.float32), (9, 9))
    _, h, w = affinity.queries.shape
    _, y, x = affinity.queries.centre(h // 2 * w + w // 2)  # where every token lies at the border
    best, at = -1.0, (min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0))
    for b in range(h):
        for c in range(w):
            _, y, x = affinity.queries.centre(b * w + c)
            inside = 0.08 * height <= y <= 0.92 * height and 0.08 * width <= x <= 0.92 * width
            value = score[min(int(y * scale), size[0] - 1), min(int(x * scale), size[1] - 1)]
            if inside and value > best:
                best, at = float(value), (min(y, height - 1.0), min(x, width - 1.0))
    return Point(middle, *at), RULE if t > 1 else RULE_STILL


def _named(affinity: Affinity) -> tuple[Point, str]:
    """Return where to open among words, boxes or nodes, and the rule."""
    queries = affinity.queries
    rule = RULES_NAMED[queries.kind]
    if isinstance(queries, TokenLine):
        ours = [i for i in range(queries.size) if i not in queries.special]
        return queries.place_in(ours[len(ours) // 2] if ours else 0), rule
    if isinstance(queries, TokenNodes):
        counts = affinity.support.counts(queries, affinity.keys)
        return queries.place_in(int(counts.argmax())), rule
    for index in range(queries.size):
        with suppress(OutsideClip):  # a box that smaller ones cover
            return queries.place_in(index), rule
    return queries.centre(0), rule


def averaging_query(affinity: PatchAffinity) -> Point:
    """Return a textured pixel of the middle frame whose row is spread most.

    Of the 24 most textured places on a coarse lattice, that with the largest effective number of
    keys, exp(entropy). Texture is taken from the picture smoothed, as noise has a texture of its
    own.

    >>> from nlviz.affinity.patches import patch_affinity
    >>> ramp = np.tile(np.linspace(0, 255, 40, dtype=np.float32), (32, 1))[None, ..., None]
    >>> a = patch_affinity(ramp, clip_shape=(1, 32, 40), h=9.0, step=1, window=5)
    >>> averaging_query(a)[0]
    0.0
    """
    t, height, width, _ = affinity.picture.shape
    frame = t // 2
    picture = affinity.picture[frame].numpy().astype(np.float32)
    grey = cv2.GaussianBlur(picture.mean(-1), (0, 0), 2.0)
    score = np.sqrt(np.maximum(cv2.cornerMinEigenVal(grey, 9), 0))
    edge_y, edge_x = height // 8, width // 8
    lattice = [
        (float(score[y, x]), y, x)
        for y in range(edge_y, height - edge_y, max(height // 32, 1))
        for x in range(edge_x, width - edge_x, max(width // 32, 1))
    ] or [(0.0, height // 2, width // 2)]
    best = (-1.0, height // 2, width // 2)
    for _, y, x in sorted(lattice, reverse=True)[:24]:
        row = affinity.rows([(frame * height + y) * width + x])[0, 0].double()
        spread = float(effective_number(row))
        best = max(best, (spread, y, x))
    return Point(float(frame), float(best[1]), float(best[2]))


def _aligned(frame: Grey, to: Grey) -> Grey:
    """Shift a frame so that the picture as a whole lies as in another."""
    (dx, dy), _ = cv2.phaseCorrelate(to, frame, cv2.createHanningWindow(to.shape[::-1], cv2.CV_32F))
    shift = np.array([[1, 0, -dx], [0, 1, -dy]], np.float32)
    size = to.shape[::-1]
    return np.asarray(
        cv2.warpAffine(frame, shift, size, borderMode=cv2.BORDER_REPLICATE), np.float32
    )
