"""Progress of long work: a sentence and a share, told to whoever listens."""

from __future__ import annotations

from collections.abc import Callable

Listener = Callable[[str, float], object]


class Progress:
    """Reports how far a piece of work is, as a share of the whole that it is a part of.

    Public functions take any ``Listener`` (or None) and wrap it with ``Progress.of``; work that
    consists of steps gives each a ``part``.

    Args:
        listener: called with a sentence and a share in [0, 1]; None hears nothing.
        first: share of the listener's whole at which this piece begins.
        last: share at which it ends.
        prefix: put before every sentence.

    >>> heard = []
    >>> loading = Progress(lambda sentence, share: heard.append((sentence, share))).part(0.5, 0.9)
    >>> loading("Reading", 0.5)
    >>> heard
    [('Reading', 0.7)]
    """

    def __init__(
        self,
        listener: Listener | None = None,
        first: float = 0.0,
        last: float = 1.0,
        prefix: str = "",
    ) -> None:
        self._listener = listener
        self._first = first
        self._last = last
        self._prefix = prefix

    @classmethod
    def of(cls, listener: Listener | None) -> Progress:
        """Return the listener as a Progress; None gives one that nobody hears.

        >>> Progress.of(None).heard
        False
        """
        return listener if isinstance(listener, Progress) else cls(listener)

    @property
    def heard(self) -> bool:
        """Whether anybody listens."""
        return self._listener is not None

    def __call__(self, sentence: str, share: float) -> None:
        """Report a sentence and the share of this piece that is done."""
        if self._listener is not None:
            self._listener(
                self._prefix + sentence, self._first + (self._last - self._first) * share
            )

    def part(self, first: float, last: float, *, prefix: str = "") -> Progress:
        """Return the progress of a step between two shares of this piece."""
        start, span = self._first, self._last - self._first
        return Progress(
            self._listener, start + span * first, start + span * last, self._prefix + prefix
        )


SILENT = Progress()
