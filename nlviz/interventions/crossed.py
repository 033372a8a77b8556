"""Queries of one capture over the keys of another, in one block of one network."""

from __future__ import annotations

from nlviz.affinity.crossed import CrossedAffinity, crossed_affinity
from nlviz.captures.capture import Capture
from nlviz.errors import NlvizError


def crossed(queries_of: Capture, keys_of: Capture, block: str) -> CrossedAffinity:
    """Return the affinity of the queries of one input over the keys of another.

    It answers: what would this place of one clip take from the other clip? theta is that of the
    first capture, phi that of the second, f and C are the block's own (see
    ``nlviz.affinity.crossed``).

    Args:
        queries_of: the capture in which queries lie.
        keys_of: the capture in which keys lie, of the same network.
        block: name of the block.

    Raises:
        UnknownBlock: when one of the captures has no such block.
        NlvizError: when the two are of different networks, or what the block adds for places, or
            holds back, means nothing between the two inputs.

    >>> import nlviz
    >>> from nlviz.resources import asset
    >>> model = nlviz.load_model("lite-nl")
    >>> face, cup = (
    ...     model.capture(nlviz.read_clip(asset(f"photos/{name}.jpg"), size=128))
    ...     for name in ("astronaut", "coffee")
    ... )
    >>> both = crossed(face, cup, "stage4")
    >>> both.queries.size, both.keys.size, both.map(frame=0, y=40, x=60).weights.shape
    (196, 294, (1, 14, 21))
    """
    one, other = queries_of.affinities[block], keys_of.affinities[block]
    names = [(c.about.name, c.about.digest) for c in (queries_of, keys_of)]
    same = queries_of.blocks.get(block) is not None and (
        queries_of.blocks.get(block) is keys_of.blocks.get(block)
    )
    if names[0] != names[1] and not same:
        told = [f"{name} ({digest[:12] or 'no digest'})" for name, digest in names]
        raise NlvizError(
            "theta and phi meet in one network, these captures are of "
            f"{told[0]} and {told[1]}; give two captures of one"
        )
    return crossed_affinity(one, other)
