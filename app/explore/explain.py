"""What Explore shows, for readers who never heard of non-local blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

import nlviz

from ..shared import lead
from ..shared.language import spoken
from .choices import SAVED, TEXT
from .state import STATE

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

QUESTION = "Where does it look?"
_POINT = "Point at the picture to see which points count, and how much; a click pins."
_SAID = "lead_says"  # in the session: the sentences on the screen
_OF_WORDS = "lead_of_words"  # in the session: whether the queries on the screen are words
_TRY = """
1. **Point at a cup.** Does the block find its twin, and the same cup in the other frames? The
   arrows go to the places with the most weight.
2. **Press 3, *Position only*.** What the block would do if it knew where things are, but not what
   they look like.
3. **Press 4, *Untrained block*.** The same block before it learned anything.
4. **Press 8, *Minus mean*.** What is special about this point: the part that all points share is
   taken away.
5. **Read *Can this map be believed?*** below the picture, before you believe it.
6. **Choose another clip**, or bring your own, at the left (on a phone behind »).

On a touch screen tap the names above the picture instead of pressing keys.
"""
_TRY_TEXT = """
1. **Point at a word.** Which other words count for it? The arcs go to those with the most weight.
2. **Change the text** at the left: move a word, repeat one, leave one out.
3. **Press 8, *Minus mean*.** What is special about this word: the part that all words share is
   taken away.
4. **Look the other way**, *to* in place of *from*: which words look at this one?
5. **Read *Can this map be believed?*** below the text, before you believe it.
6. **Choose another network**, or bring your own, at the left (on a phone behind »).
"""
_WORDS = r"""
- **query** $x_i$: the point you look from. **key** $x_j$: a place that is looked at.
- **cell**: the area of the picture that one query or key stands for; it is a square of the grid on
  which the network computes.
- **weight**: how much a key counts for the query. The weights of all keys sum to 1.
- **× uniform**: weight as a multiple of what every key would get if all got the same.
- **row**: the weights of all keys for one query. **map**: a row laid on the picture.
- **pinned**: you clicked, and the query stays. **hovered**: it follows the pointer.
"""
_WORDS_TEXT = r"""
- **token**: what the network reads as one: a word, a part of one, a mark. **special tokens** are
  those that nobody wrote, such as a beginning.
- **query** $x_i$: the token you look from. **key** $x_j$: one that is looked at.
- **weight**: how much a key counts for the query. The weights of all keys sum to 1.
- **× uniform**: weight as a multiple of what every key would get if all got the same.
- **row**: the weights of all keys for one query.
- **pinned**: you clicked, and the query stays. **hovered**: it follows the pointer.
"""


def draw() -> DeltaGenerator:
    """Draw the head of the page; return where its sentences stand."""
    of_text = _of_text()
    first = (
        of_words("all words") if of_text else sentences("all keys in all frames", of_places=True)
    )
    said = st.session_state.get(_SAID) or first
    more = (_TRY_TEXT, _WORDS_TEXT) if of_text else (_TRY, _WORDS)
    return lead.draw(QUESTION, said, dict(zip(("What to try", "Words"), more, strict=True)))


def _of_text() -> bool:
    """Return whether the page shows a text, also before its address was opened."""
    if STATE.name in st.session_state:
        saved = STATE.now.kind == SAVED and st.session_state.get(_OF_WORDS, False)
        return STATE.now.kind == TEXT or bool(saved)
    return "text" in st.query_params and "clip" not in st.query_params


def say(place: DeltaGenerator, affinity: nlviz.Affinity) -> None:
    """Say in the head what this affinity's queries reach."""
    reach = nlviz.words.reached(affinity)
    compares = affinity.pairwise.name != "effective_operator"
    if affinity.queries.names:
        said = of_words(reach, nouns=nlviz.words.nouns_of(affinity.queries), compares=compares)
    else:
        if affinity.queries.line is not None:
            reach = f"{reach}; words are queries and keys beside the points"
        of_places = not nlviz.words.asks_without_place(affinity)
        said = sentences(reach, of_places=of_places, compares=compares)
    st.session_state[_OF_WORDS] = affinity.queries.kind == "line"
    if said != st.session_state.get(_SAID):
        st.session_state[_SAID] = said
        place.markdown(spoken(said))


def sentences(reach: str, *, of_places: bool, compares: bool = True) -> str:
    """Return what one sees, in two sentences, in Markdown.

    Args:
        reach: what a query reaches.
        of_places: whether points of the picture are queries.
        compares: whether weights come from queries and keys, not from a layer.
    """
    if not compares:
        return (
            "An *effective operator*: the network made these weights without comparing points. "
            "What it computes at a point is a **weighted sum of the points that it reaches**, here "
            f"{reach}. {_POINT}"
        )
    if not of_places:
        return (
            "Here tokens without a place, as a class token is, are **weighted means of points**, "
            f"and reach {reach}. The map shows which points count, and how much."
        )
    if reach == "all keys in all frames":
        return (
            "A *non-local block* (attention) makes each point a **weighted mean of all points, in "
            f"all frames**. {_POINT}"
        )
    if reach == "all keys of the picture":
        return f"Attention makes each point a **weighted mean of all points**. {_POINT}"
    return (
        "Attention makes each point a **weighted mean of the points that it reaches**, here "
        f"{reach}. {_POINT}"
    )


def of_words(reach: str, *, nouns: nlviz.words.Nouns | None = None, compares: bool = True) -> str:
    """Return what one sees of queries that have names, in two sentences, in Markdown.

    Args:
        reach: what a query reaches.
        nouns: what queries are called; words by default.
        compares: whether weights come from queries and keys, not from a layer.
    """
    one, many = ("word", "words") if nouns is None else (nouns.one, nouns.many)
    point = f"Point at a {one} to see what counts for it, and how much; a click pins."
    if not compares:
        return (
            f"An *effective operator*: the network made these weights without comparing {many}. "
            f"What it computes at a {one} is a **weighted sum** of what it reaches, here {reach}. "
            f"{point}"
        )
    return (
        f"Attention makes each {one} a **weighted mean of what it reaches**, here {reach}. {point}"
    )
