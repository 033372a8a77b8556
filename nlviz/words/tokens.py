"""What is said of a token without a place whose row is shown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nlviz.words.nouns import quoted

_WORD = re.compile(r"\d+:(.+)", re.DOTALL)  # how a word is named that may stand again


def token_called(token: str) -> str:
    """Return what a token without a place is called in a sentence.

    >>> token_called("cls"), token_called("registers.2"), token_called("9:dog")
    ('the class token (cls)', 'the token registers.2', '“dog”')
    """
    if found := _WORD.fullmatch(token):
        return quoted(found[1])
    return "the class token (cls)" if token == "cls" else f"the token {token}"


def token_sentence(token: str, names: Sequence[str]) -> str:
    """Return what a map is that holds the row of a token without a place.

    Args:
        token: its name.
        names: of all such tokens; where each frame has its own, a name stands there again.

    >>> token_sentence("cls", ["cls", "registers.0"])
    'From the class token (cls).'
    >>> token_sentence("registers.0", ["cls", "cls", "registers.0", "registers.0"])
    "From each frame's own token registers.0, over its frame."
    """
    if _WORD.fullmatch(token):
        return f"From the word {token_called(token)}."
    if names.count(token) > 1:
        called = "class token (cls)" if token == "cls" else f"token {token}"
        return f"From each frame's own {called}, over its frame."
    return f"From {token_called(token)}."
