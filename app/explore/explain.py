"""What Explore shows, for readers who never heard of non-local blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

import nlviz

from ..shared import lead

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

QUESTION = "Where does it look?"
_POINT = "Point at the picture to see which points count, and how much; a click pins."
_SAID = "lead_says"  # in the session: the sentences on the screen
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
_WORDS = r"""
- **query** $x_i$: the point you look from. **key** $x_j$: a place that is looked at.
- **cell**: the area of the picture that one query or key stands for; it is a square of the grid on
  which the network computes.
- **weight**: how much a key counts for the query. The weights of all keys sum to 1.
- **× uniform**: weight as a multiple of what every key would get if all got the same.
- **row**: the weights of all keys for one query. **map**: a row laid on the picture.
- **pinned**: you clicked, and the query stays. **hovered**: it follows the pointer.
"""


def draw() -> DeltaGenerator:
    """Draw the head of the page; return where its sentences stand."""
    said = st.session_state.get(_SAID) or sentences("all keys in all frames", of_places=True)
    return lead.draw(QUESTION, said, {"What to try": _TRY, "Words": _WORDS})


def say(place: DeltaGenerator, affinity: nlviz.Affinity) -> None:
    """Say in the head what this affinity's queries reach."""
    reach = nlviz.words.reached(affinity)
    said = sentences(
        reach,
        of_places=not nlviz.words.asks_without_place(affinity),
        compares=affinity.pairwise.name != "effective_operator",
    )
    if said != st.session_state.get(_SAID):
        st.session_state[_SAID] = said
        place.markdown(said)


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
