"""Captures and what is made of them, shared between reruns and visitors, keyed by content."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import streamlit as st

import nlviz

from ..shared.slots import Key, Slot, filled

if TYPE_CHECKING:
    from pathlib import Path

    from .state import Choice

CHEAP = 1.0  # seconds of a forward pass that are spent without asking


@st.cache_resource(max_entries=2, show_spinner=False)
def _model_slot(key: Key) -> Slot:
    return Slot()


@st.cache_resource(max_entries=6, show_spinner=False)
def _capture_slot(key: Key) -> Slot:
    return Slot()


@st.cache_resource(max_entries=8, show_spinner=False)
def _block_slot(key: Key) -> Slot:
    return Slot()


def model(choice: Choice, progress: nlviz.Progress | None = None) -> nlviz.Model:
    """Return the network of a choice on its device.

    Raises:
        NlvizError: whatever loading raises.
    """

    def make() -> nlviz.Model:
        family, flags = _flags(choice)
        return nlviz.load_model(
            choice.model,
            allow_code=choice.model in nlviz.zoo.app_offers.functions(),
            device=choice.device,
            family=family,
            autocast="bfloat16" if choice.half else None,
            progress=progress,
            **flags,
        )

    return filled(_model_slot(model_key(choice)), make)


def report(choice: Choice) -> nlviz.LoadReport:
    """Return what is in the file of a network that could not be made.

    Raises:
        NlvizError: whatever reading raises.
    """
    family, flags = _flags(choice)
    return nlviz.inspect_weights(choice.model, family=family, **flags)


def _flags(choice: Choice) -> tuple[str | None, dict[str, Any]]:
    """Return the family that was asked for, and the other flags."""
    flags = dict(choice.flags)
    family = flags.pop("family", None)
    return None if family is None else str(family), flags


def model_key(choice: Choice) -> Key:
    """Return what tells one network on its device from another."""
    return (choice.model, choice.flags, choice.device, choice.half)


def clip_key(choice: Choice) -> Key:
    """Return what tells one clip from another: the content of an upload, or the bundled name."""
    import hashlib

    content = choice.name if choice.upload is None else hashlib.sha256(choice.upload).hexdigest()
    return (content, choice.name, choice.sampling, choice.saved)


def source(choice: Choice) -> Path | bytes | None:
    """Return the file or the bytes that a choice's clip comes from, or None."""
    if choice.saved:
        return None

    return choice.upload or nlviz.bundled_inputs().get(choice.name)


def capture(choice: Choice, progress: nlviz.Progress) -> nlviz.Capture:
    """Return the capture of a choice: read the clip and run the network, unless that was done.

    Raises:
        NlvizError: whatever reading and running raise.
    """

    def make() -> nlviz.Capture:
        if choice.saved:
            return _saved(choice)
        inputs = nlviz.bundled_inputs()
        if choice.upload is None and choice.name not in inputs:
            raise nlviz.NlvizError(
                f"no bundled input is called {choice.name!r}"
                + nlviz.errors.did_you_mean(choice.name, inputs)
            )
        sampling = choice.sampling
        clip = nlviz.read_clip(
            inputs[choice.name] if choice.upload is None else choice.upload,
            start=sampling.start,
            stride=sampling.stride,
            frames=sampling.frames,
            size=sampling.size,
            name=choice.name,
            progress=progress.part(0.0, 0.5),
        )
        progress("Loading the model", 0.5)
        loaded = model(choice)
        start = time.perf_counter()
        shot = loaded.capture(clip, progress=progress.part(0.5, 0.95))
        slot.seconds = time.perf_counter() - start  # of the forward pass
        return shot

    slot = _capture_slot(capture_key(choice))
    return filled(slot, make)


def _saved(choice: Choice) -> nlviz.Capture:

    if choice.upload is not None:
        return nlviz.read_capture(choice.upload, name=choice.name)
    captures = nlviz.zoo.app_offers.captures()
    if choice.name not in captures:
        raise nlviz.NlvizError(
            f"no saved capture is called {choice.name!r}"
            + nlviz.errors.did_you_mean(choice.name, captures)
        )
    return nlviz.read_capture(captures[choice.name])


def capture_key(choice: Choice) -> Key:
    """Return what tells one capture from another."""
    return (*clip_key(choice), *model_key(choice))


class HealthTest:
    """What forward passes tell of a block's health, made once for all visitors.

    Attributes:
        cheap: whether they are so short that nobody needs to be asked.
    """

    def __init__(
        self,
        choice: Choice,
        shot: nlviz.Capture,
        block: str,
        known: nlviz.BlockHealth,
        *,
        cheap: bool,
    ) -> None:
        self._choice, self._shot, self._block = choice, shot, block
        self._lock = threading.Lock()
        self._health = known
        self.cheap = cheap
        # Nothing is left to find in a saved capture, or without logits where the size is known.
        self.done = choice.saved or (shot.logits is None and known.size is not None)

    @property
    def health(self) -> nlviz.BlockHealth:
        """What is known by now."""
        return self._health

    def run(self) -> None:
        """Run the network without the block, unless that was done.

        Raises:
            NlvizError: whatever loading and running the network raise.
        """
        with self._lock:
            if not self.done:
                loaded = model(self._choice)
                self._health = self._health.probed(loaded, self._shot, self._block)
                self.done = True


@dataclass(frozen=True)
class BlockView:
    """What the page shows of one block.

    Attributes:
        affinities: the block's own and its controls, by key.
        payload: the live view's bytes.
        opening: (frame, y, x) that it opens at.
        served: whether rows that the browser cannot compute come from here, for each pin.
        statistics: whether to believe it.
        test: whether the block does anything.
    """

    affinities: dict[str, nlviz.Affinity]
    payload: bytes
    opening: nlviz.Point
    served: bool
    statistics: nlviz.BlockStatistics
    test: HealthTest


def block_view(choice: Choice, shot: nlviz.Capture, block: str, *, channel: str) -> BlockView:
    """Return what the page shows of one block, computed once."""

    def make() -> BlockView:
        affinities = nlviz.controls(shot, block)
        opening, _ = nlviz.opening_query(shot.clip, affinities["learned"])
        payload = _payload(shot, block, affinities, channel, None)
        served = any(source["server"] for source in nlviz.web.unpack(payload)[0]["sources"])
        statistics = nlviz.block_statistics(shot, block)
        cheap = _capture_slot(capture_key(choice)).seconds < CHEAP
        test = HealthTest(choice, shot, block, nlviz.block_health(None, shot, block), cheap=cheap)
        return BlockView(affinities, payload, opening, served, statistics, test)

    key = (*capture_key(choice), block)
    return filled(_block_slot(key), make)


def fill_first_view() -> None:
    """Compute what a visitor without an address sees first, before there is one."""
    from . import state

    choice = state.first_choice()
    shot = capture(choice, nlviz.Progress())
    block_view(choice, shot, list(shot.affinities)[-1], channel=state.CHANNEL)


def payload_at(
    shot: nlviz.Capture,
    block: str,
    view: BlockView,
    query: nlviz.Point,
    *,
    channel: str,
) -> bytes:
    """Return the live view's bytes, with this query's row where the browser cannot compute it."""
    return _payload(shot, block, view.affinities, channel, query) if view.served else view.payload


def _payload(
    shot: nlviz.Capture,
    block: str,
    affinities: dict[str, nlviz.Affinity],
    channel: str,
    query: nlviz.Point | None,
) -> bytes:

    return nlviz.web.live_view(
        shot,
        block,
        query=query,
        channel=channel,
        affinities=affinities,
        # The device of a saved capture may be another machine's.
        device=nlviz.zoo.device_name(shot.about.device) if shot.blocks else None,
    )
