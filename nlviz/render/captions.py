"""The lines beneath a figure, and what must be said of what is drawn."""

from __future__ import annotations

from nlviz.affinity.attention_map import AttentionMap
from nlviz.render.shown import Shown
from nlviz.sentences import listed
from nlviz.words.keys import share_lines
from nlviz.words.nouns import POINTS, nouns_of
from nlviz.words.numbers import percent_text
from nlviz.words.rows import left_out, place_text, share_text


def reaches_itself(attention: AttentionMap) -> bool:
    """Return whether the query is one of the keys, and within its own reach."""
    reach = attention.reachable
    return attention.has_own and (reach is None or bool(reach.ravel()[attention.own]))


def notes_of(drawn: Shown, *, shown: int) -> list[str]:
    """Return the sentences of a film strip's caption."""
    clip, attention, look = drawn.clip, drawn.attention, drawn.look
    nouns = nouns_of(attention.keys)
    seen = attention.has_own or attention.keys.kind in ("grid", "boxes")
    how = "Outlined" if seen else "Asked"  # a word of another text is none of those shown
    notes = [f"{how}: {place_text(clip, attention)}."] if look.marked else []
    if attention.left_out:
        what, share = left_out(attention)
        rest = "; the rest is scaled to 100\u00a0%" if attention.normalised else ""
        whole = "difference" if attention.balanced else "weight"
        notes.append(f"Its own {what} ({percent_text(share)} of the {whole}) is hidden{rest}.")
    elif look.marked and look.show_map and look.scale.of_weights and reaches_itself(attention):
        own = float(attention.weights.flat[attention.own])
        itself = "Its own cell" if nouns is POINTS else "Itself"
        notes.append(f"{itself}, not coloured, has {look.scale.text(own)}.")
    if look.scale.clipped:
        other = "" if attention.apart else "other "  # a box over cells is none of them
        notes.append(f"The strongest {other}key has {look.scale.text(look.scale.most)}.")
    if attention.reachable is not None and not attention.left_out:
        how = {"line": "Grey", "nodes": "Pale"}.get(attention.keys.kind, "Hatched")
        notes.append(f"{how}: out of the query's reach.")
    if shares := share_lines(attention):
        told = [f"{line.value} {line.label}" for line in shares]
        notes.append(f"Of the row: {listed(told, 'and')}.")
    elif attention.off_grid:
        off = share_text(attention, attention.off_grid)
        notes.append(f"{off} of the weight lies on tokens without a place.")
    if look.links and attention.keys.kind == "boxes" and not attention.token:
        takes = (
            "what it takes from other boxes"
            if attention.direction == "from"
            else ("what other boxes take from it")
        )
        notes.append(
            f"Arrows: {takes}, the wider the more; arrows into different boxes are not comparable."
        )
    elif look.links and nouns is POINTS and not attention.token:
        what = (
            "most alike other cell" if attention.values == "similarity" else "strongest other key"
        )
        what = what.replace("other ", "") if attention.apart else what
        notes.append(_arrows(len(attention.top(look.links, without=attention.own_keys)), what))
    if attention.keys.kind in ("line", "nodes"):
        pass  # no frames
    elif attention.balanced and len(clip.frames) > 1:
        notes.append("Bars: what each frame gains or loses of a row's weight.")
    elif len(clip.frames) > 1 and look.scale.of_weights:
        asked = look.marked or attention.token or attention.apart
        of = "weight" if asked else "size of all values"
        notes.append(f"Bars: share of the {of} in each frame.")
    if shown < len(clip.frames):
        notes.append(f"{shown} of {len(clip.frames)} frames are shown.")
    # Last, because they are of the clip rather than of the map.
    return [*notes, *(note for note in clip.notes if note not in drawn.notes)]


def _arrows(count: int, what: str) -> str:
    if count == 1:
        return f"Arrow: to the {what}."
    return f"Arrows: to the {count} {what}s, the thicker the stronger."
