"""What a question about the map on the screen is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import nlviz

if TYPE_CHECKING:
    from ..cached import BlockData
    from ..state import Choice

Load = Callable[[], "nlviz.Model"]
NO_NETWORK = (
    "A saved capture holds no network, so nothing can run again. Load the network and the clip to "
    "ask this."
)


@dataclass(frozen=True)
class Asked:
    """The map that is asked about, and what it came from.

    Attributes:
        choice: of the input and the network.
        capture: of the clip on the screen.
        block: name of the block on the screen.
        view: the view on the screen.
        model: loads the network; None for a saved capture.
        data: of the block on the screen.
    """

    choice: Choice
    capture: nlviz.Capture
    block: str
    view: nlviz.View
    model: Load | None
    data: BlockData

    @property
    def affinity(self) -> nlviz.Affinity:
        """The block's own affinity, whatever source is on the screen."""
        return self.capture.affinities[self.block]

    @property
    def query(self) -> nlviz.Query:
        """The pinned query: a token without a place by its name, else a place."""
        token = self.view.display.token
        query: nlviz.Point = self.view.query
        return token or query

    @property
    def head(self) -> int | str | None:
        """The head on the screen."""
        return self.view.display.head

    @property
    def key(self) -> tuple[object, ...]:
        """What results are remembered by: clip, network, block and query."""
        clip = self.capture.clip
        return (clip.digest, clip.sampling, self.capture.about, self.block, self.query)
