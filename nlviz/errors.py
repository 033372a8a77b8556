"""Every error that nlviz raises on purpose.

    NlvizError
    ├── UnreadableClip      the file cannot be read as a clip or a picture
    │   ├── UnreadableText   no text, or one that is too long
    │   ├── MissingClip      there is no such file, or no more
    │   └── UnreachableClip  the storage or the network failed; another time it may be there
    ├── OutsideClip         a query that is not inside the clip
    ├── UnknownModel        no model of that name
    ├── UnknownBlock        no block of that name in this capture
    │   └── BlockRefused    a block that ran, and whose rows do not give what it computed
    ├── NoNonLocalBlocks    a network in which no family finds an affinity
    ├── WeightsMismatch     weights that do not fit the network, or have another digest
    ├── UnreadableCheckpoint  a file that holds no weights that can be read
    ├── UnsafeCheckpoint    a file that would run code when loaded
    ├── DownloadFailed      weights that could not be had from the network
    ├── AffinityTooLarge    a dense affinity beyond the limit
    ├── InvalidView         a view file of another version, or edited into nonsense
    └── OutOfMemory         the device has too little memory for the forward pass

The message is one sentence, or two: the rule, the value that broke it, and the cure.

    >>> import nlviz
    >>> try:
    ...     nlviz.load_model("lite-ln")
    ... except nlviz.NlvizError as error:
    ...     print(error)
    no model is called 'lite-ln'; did you mean 'lite-nl'?
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NlvizError(Exception):
    """Base of all errors that nlviz raises on purpose."""


class UnreadableClip(NlvizError):
    """The file cannot be read as a clip or a picture."""


class UnreadableText(UnreadableClip):
    """No text, one that is too long, or tokens that do not fit it."""


class MissingClip(UnreadableClip):
    """There is no such file, or it was deleted meanwhile."""


class UnreachableClip(UnreadableClip):
    """The storage or the network failed before the clip was there; another time it may work."""


class OutsideClip(NlvizError):
    """A query lies outside the clip."""


class UnknownModel(NlvizError):
    """No model has this name."""


class UnknownBlock(NlvizError, KeyError):
    """No block has this name; a ``KeyError`` too, because affinities are a mapping."""

    __str__ = NlvizError.__str__  # without the quotes that a KeyError puts around it


class BlockRefused(UnknownBlock):
    """A block ran, but its map is not shown: its rows do not give what it computed, say."""


class NoNonLocalBlocks(NlvizError):
    """No family of adapters finds an affinity in the network."""


class WeightsMismatch(NlvizError):
    """The weights do not fit the network, or their digest is not the expected one."""


class UnsafeCheckpoint(NlvizError):
    """The checkpoint would run code when loaded."""


class UnreadableCheckpoint(NlvizError):
    """The file is broken, of no known container, or holds no weights."""


class DownloadFailed(NlvizError):
    """Weights could not be downloaded, or downloads are switched off."""


class AffinityTooLarge(NlvizError):
    """A dense affinity was asked for that exceeds the limit."""


class InvalidView(NlvizError):
    """A view file has another version, or its fields make no sense."""


class OutOfMemory(NlvizError):
    """The device has too little memory for the forward pass."""


MOST_NAMES = 12  # that a sentence lists


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of an error sentence that offers the close names, or all of them.

    >>> did_you_mean("stage5", ["stage3", "stage4"])
    "; did you mean 'stage4' or 'stage3'?"
    """
    names = list(known)
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if close:
        return "; did you mean " + " or ".join(repr(n) for n in close) + "?"
    listed = ", ".join(names[:MOST_NAMES]) if names else "none"
    more = len(names) - MOST_NAMES
    return f"; known: {listed}" + (f" and {more} more" if more > 0 else "")
