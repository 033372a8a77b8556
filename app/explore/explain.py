"""What Explore shows, for readers who never heard of non-local blocks."""

from __future__ import annotations

from ..shared import lead

QUESTION = "Where does it look?"
SENTENCES = (
    "A *non-local block* (attention) makes each point a **weighted mean of all points, in all "
    "frames**. Point at the picture to see which points count, and how much; a click pins."
)
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


def draw() -> None:
    """Draw the head of the page."""
    lead.draw(QUESTION, SENTENCES, {"What to try": _TRY, "Words": _WORDS})
