"""State of the Explore page in the session, and the input and network that it leads to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import nlviz

from ..shared.page_state import PageState
from ..shared.uploads import Upload
from .choices import FIRST_FRAMES, FIRST_INPUT, FIRST_MODEL, SAVED, Boxes, Choices, opened


@dataclass(frozen=True)
class Choice:
    """Choice of the clip and the network.

    Attributes:
        name: name of the bundled input or of the upload.
        upload: the upload, or None for a bundled input.
        sampling: which frames.
        model: name of the model, or the path of a file of weights.
        flags: overrides of how it is computed.
        half: run it in half precision.
        device: where to run it.
        block: name of the block, or None for the model's last.
        saved: whether the input is a saved capture, which needs no network.
        text: the text that is the input, or that the network is told beside the clip.
        of_text: whether the text is the input.
        of_graph: whether the input is a graph.
        boxes: that the network is asked about, (frame, top, left, bottom, right) of each.
        survey: digest of the survey's clip that is the input, with the frames of the survey.
    """

    name: str
    upload: Upload | None
    sampling: nlviz.Sampling
    model: str
    device: str
    block: str | None
    flags: tuple[tuple[str, object], ...] = ()
    half: bool = False
    saved: bool = False
    text: str = ""
    of_text: bool = False
    of_graph: bool = False
    boxes: Boxes = ()
    survey: str = ""

    @property
    def offer(self) -> nlviz.zoo.app_offers.SurveyOffer:
        """The survey that looked at the clip."""
        return nlviz.zoo.app_offers.survey_of_clip(self.survey, self.model)


def saved_choice(name: str, upload: Upload | None) -> Choice:
    """Return the choice of a saved capture: one that was offered, or an upload."""
    return Choice(name, upload, nlviz.Sampling(), "", "cpu", None, saved=True)


def first_choice() -> Choice:
    """Return the choice of a first visit."""
    if captures := list(nlviz.zoo.app_offers.captures()):
        return saved_choice(captures[0], None)
    sampling = nlviz.Sampling(frames=FIRST_FRAMES)
    return Choice(FIRST_INPUT, None, sampling, FIRST_MODEL, nlviz.zoo.list_devices()[0], None)


def _first() -> Choices:
    """Return the choices of a first visit."""
    captures = list(nlviz.zoo.app_offers.captures())
    return replace(Choices(), kind=SAVED, saved=captures[0]) if captures else Choices()


def _opened(address: Mapping[str, str]) -> Choices:
    # To understand an address takes PyTorch, which a first visit does not wait for.
    return opened(address, _first()) if address else _first()


STATE: PageState[Choices] = PageState("explore", prefix="", first=_first, opened=_opened)
