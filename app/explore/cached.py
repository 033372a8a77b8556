"""Captures, networks and block views, shared between reruns and visitors, keyed by content."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import streamlit as st

import nlviz

from ..shared.slots import Key, Slot, filled, taken
from . import costs, first_view

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .state import Choice

CHEAP = 1.0  # seconds of a forward pass that are spent without asking


@st.cache_resource(max_entries=2, show_spinner=False)
def _model_slot(key: Key) -> Slot:
    return Slot()


@st.cache_resource(max_entries=4, show_spinner=False)
def _clip_slot(key: Key) -> Slot:
    return Slot()


@st.cache_resource(max_entries=8, show_spinner=False)
def _turns(key: Key) -> threading.Lock:
    """Return the lock of those who run one network; who waits is told so."""
    return threading.Lock()


def turns(choice: Choice) -> threading.Lock:
    """Return the lock of those who run the network of a choice."""
    return _turns(model_key(choice))


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

    return filled(_model_slot(model_key(choice)), make, _queued(progress, 0.0))


def _queued(progress: nlviz.Progress | None, share: float) -> Callable[[], object] | None:
    if progress is None:
        return None
    return lambda: progress("Another visitor's run comes first; this one is next", share)


def report(choice: Choice) -> nlviz.LoadReport:
    """Return the load report of a file from which no network could be built.

    Raises:
        NlvizError: whatever reading raises.
    """
    family, flags = _flags(choice)
    return nlviz.inspect_weights(choice.model, family=family, **flags)


def _flags(choice: Choice) -> tuple[str | None, dict[str, Any]]:
    """Split off the family from the other flags."""
    flags = dict(choice.flags)
    family = flags.pop("family", None)
    return None if family is None else str(family), flags


def model_key(choice: Choice) -> Key:
    """Return the key of a network on its device."""
    return (choice.model, choice.flags, choice.device, choice.half)


def clip_key(choice: Choice) -> Key:
    """Return the key of a clip: content of an upload, a text or bundled name, and sampling."""
    content = choice.name if choice.upload is None else choice.upload.digest
    if choice.of_text:
        content = choice.text
    if choice.survey:  # its frames are as the network was trained, where nobody said otherwise
        content = repr((choice.survey, choice.model))
    return (content, choice.name, choice.sampling, choice.saved, choice.of_text, choice.of_graph)


def source(choice: Choice) -> Path | bytes | None:
    """Return the file, or the bytes, of a choice's clip; None for saved captures and texts.

    Raises:
        NlvizError: when there is none.
    """
    if choice.saved or choice.of_text:
        return None
    if choice.survey:
        return choice.offer.source(choice.survey)
    if choice.upload is not None:
        return choice.upload.path()
    inputs = nlviz.bundled_graphs() if choice.of_graph else nlviz.bundled_inputs()
    if choice.name not in inputs:
        raise nlviz.NlvizError(
            f"no bundled input is called {choice.name!r}"
            + nlviz.errors.did_you_mean(choice.name, inputs)
        )
    return inputs[choice.name]


def clip_of(choice: Choice, progress: nlviz.Progress) -> nlviz.Clip:
    """Return the clip or text of a choice, read once.

    Raises:
        NlvizError: whatever reading raises.
    """

    def make() -> nlviz.Clip:
        if choice.of_text:
            return nlviz.read_text(choice.text)
        if choice.of_graph:
            return nlviz.read_graph(source(choice) or "", name=choice.name)
        if choice.survey:
            return choice.offer.read(choice.survey, model(choice, progress).input_spec)
        sampling, path = choice.sampling, source(choice)
        assert path is not None  # saved captures bring their own clip
        return nlviz.read_clip(
            path,
            start=sampling.start,
            stride=sampling.stride,
            frames=sampling.frames,
            size=sampling.size,
            name=choice.name,
            progress=progress,
        )

    return filled(_clip_slot(clip_key(choice)), make, _queued(progress, 0.0))


def capture_of(choice: Choice, progress: nlviz.Progress) -> nlviz.Capture:
    """Return the capture of a choice, made once: read the clip, run the network.

    Raises:
        NlvizError: whatever reading and running raise.
    """

    def make() -> nlviz.Capture:
        if choice.saved:
            return _saved(choice)
        clip = clip_of(choice, progress.part(0.0, 0.5))
        progress("Loading the model", 0.5)
        loaded = model(choice, progress.part(0.5, 0.5))
        known = costs.runs((*model_key(choice), clip.shape[1:]))
        expected = known.expected(len(clip.frames))
        told = f"About {costs.in_words(expected)}: " if expected and expected > CHEAP else ""
        with taken(_turns(model_key(choice)), _queued(progress, 0.5)):
            start = time.perf_counter()
            words = choice.text if choice.text and not choice.of_text else None
            run = progress.part(0.5, 0.95, prefix=told)
            made = loaded.capture(clip, text=words, boxes=choice.boxes or None, progress=run)
            slot.seconds = time.perf_counter() - start  # of the forward pass
        known.add(len(clip.frames), slot.seconds)
        return made

    slot = _capture_slot(capture_key(choice))
    return filled(slot, make, _queued(progress, 0.0))


def cost_of(choice: Choice, progress: nlviz.Progress) -> costs.Cost | None:
    """Return what the capture of a choice costs where that is much; None where it is little.

    Raises:
        NlvizError: whatever reading and running raise.
    """
    if choice.saved or _capture_slot(capture_key(choice)).value is not None:
        return None
    clip = clip_of(choice, progress.part(0.0, 0.5))
    loaded = model(choice, progress.part(0.5, 0.5))
    if len(clip.frames) <= costs.FEW:
        return None
    with taken(_turns(model_key(choice)), _queued(progress, 0.5)):
        return costs.foretold(choice, model_key(choice), clip, loaded, progress)


def _saved(choice: Choice) -> nlviz.Capture:
    if choice.upload is not None:
        return nlviz.read_capture(choice.upload.path(), name=choice.name)
    captures = nlviz.zoo.app_offers.captures()
    if choice.name not in captures:
        raise nlviz.NlvizError(
            f"no saved capture is called {choice.name!r}"
            + nlviz.errors.did_you_mean(choice.name, captures)
        )
    return nlviz.read_capture(captures[choice.name])


def capture_key(choice: Choice) -> Key:
    """Return the key of a capture."""
    return (*clip_key(choice), *model_key(choice), choice.text, choice.boxes)


class HealthTest:
    """Health of a block as far as it is known; ``run`` adds what takes forward passes, once.

    Attributes:
        cheap: whether a pass is short enough to run without a click.
        done: whether nothing is left to run.
    """

    def __init__(
        self,
        choice: Choice,
        capture: nlviz.Capture,
        block: str,
        known: nlviz.BlockHealth,
        *,
        cheap: bool,
    ) -> None:
        self._choice, self._capture, self._block = choice, capture, block
        self._lock = threading.Lock()
        self._health = known
        self.cheap = cheap
        # Nothing is left to find in a saved capture, or without logits where the size is known.
        self.done = choice.saved or (capture.logits is None and known.size is not None)

    @property
    def health(self) -> nlviz.BlockHealth:
        """The health that is known by now."""
        return self._health

    def run(self) -> None:
        """Run the network without the block, unless that was done.

        Raises:
            NlvizError: whatever loading and running the network raise.
        """
        with self._lock:
            if not self.done:
                loaded = model(self._choice)
                self._health = self._health.probed(loaded, self._capture, self._block)
                self.done = True


class Judged:
    """Statistics and health of a block, computed once, when a panel asks: after the first map."""

    def __init__(self, make: Callable[[], tuple[nlviz.BlockStatistics, HealthTest]]) -> None:
        self._make, self._slot = make, Slot()

    @property
    def both(self) -> tuple[nlviz.BlockStatistics, HealthTest]:
        """Both, computed now or before."""
        return filled(self._slot, self._make)


@dataclass(frozen=True)
class BlockData:
    """Data of one block that the page shows; what only panels need is computed when they ask.

    Attributes:
        affinities: the block's own and its controls, by key.
        payload: the live view's bytes.
        opening: query that it opens at.
        served: whether the browser cannot compute some rows, so that each pin sends them.
        judged: what is said of the block, made when it is asked for.
        capture: of the clip, with what enters the block where that is known.
        pending: sources for which the network runs once more when they are asked for.
        note: why there are fewer sources than were asked for, or empty.
    """

    affinities: dict[str, nlviz.Affinity]
    payload: bytes
    opening: nlviz.Point
    served: bool
    judged: Judged
    capture: nlviz.Capture
    pending: tuple[str, ...] = ()
    note: str = ""

    @property
    def statistics(self) -> nlviz.BlockStatistics:
        """Statistics of the block's rows."""
        return self.judged.both[0]

    @property
    def test(self) -> HealthTest:
        """Health of the block."""
        return self.judged.both[1]


def block_data(choice: Choice, capture: nlviz.Capture, block: str, *, channel: str) -> BlockData:
    """Return the data of one block, computed once."""

    def make() -> BlockData:
        affinities = nlviz.controls(capture, block)
        opening, _ = nlviz.opening_query(capture.clip, capture.affinities[block])
        pending = () if choice.saved else nlviz.variants_of_features(capture, block)
        payload = first_view.payload(choice, block) or _payload(
            capture, block, affinities, channel, None, pending=pending
        )
        served = _served(payload)
        return BlockData(affinities, payload, opening, served, Judged(judge), capture, pending)

    def judge() -> tuple[nlviz.BlockStatistics, HealthTest]:
        known = nlviz.block_health(None, capture, block)
        cheap = _capture_slot(capture_key(choice)).seconds < CHEAP
        test = HealthTest(choice, capture, block, known, cheap=cheap)
        return nlviz.block_statistics(capture, block), test

    key = (*capture_key(choice), block)
    richer: BlockData | None = _block_slot((*key, "richer")).value
    return richer or filled(_block_slot(key), make)


def _served(payload: bytes) -> bool:
    """Return whether the browser cannot compute the rows of some source that is there."""
    sources = nlviz.web.unpack(payload)[0]["sources"]
    later = ("layers", "pending")  # these come when they are asked for
    return any(s["server"] and not any(name in s for name in later) for s in sources)


def with_features(
    choice: Choice, block: str, data: BlockData, progress: nlviz.Progress, *, channel: str
) -> BlockData:
    """Return the data of a block with the sources that need what enters it, computed once.

    Where they cannot be had the note says why, and they are offered no longer.

    Raises:
        OutOfMemory: when the device's memory does not suffice; it may another time.
    """

    def make() -> BlockData:
        try:
            loaded = model(choice, progress.part(0.0, 0.2))
            with taken(_turns(model_key(choice)), _queued(progress, 0.2)):
                run = progress.part(0.2, 0.8)
                capture = nlviz.with_features(loaded, data.capture, [block], progress=run)
        except nlviz.errors.OutOfMemory:
            raise
        except nlviz.NlvizError as error:
            payload = _payload(data.capture, block, data.affinities, channel, None)
            return replace(data, payload=payload, pending=(), note=str(error))
        progress("Preparing the view", 0.8)
        affinities = nlviz.controls(capture, block, known=data.affinities)
        payload = _payload(capture, block, affinities, channel, None)
        return replace(
            data,
            affinities=affinities,
            payload=payload,
            served=_served(payload),
            capture=capture,
            pending=(),
        )

    slot = _block_slot((*capture_key(choice), block, "richer"))
    return filled(slot, make, _queued(progress, 0.0))


def fill_first_view() -> None:
    """Compute the first view ahead of the first visitor."""
    from . import state

    choice = state.first_choice()
    capture = capture_of(choice, nlviz.Progress())
    block_data(choice, capture, list(capture.affinities)[-1], channel=state.STATE.name)


def payload_at(
    block: str,
    data: BlockData,
    view: nlviz.View,
    *,
    channel: str,
    waiting: Callable[[], nlviz.Progress],
) -> bytes:
    """Return the live view's bytes, with the query's row if the browser cannot compute it.

    Args:
        block: on the screen.
        data: of the block.
        view: on the screen; where it shows a rollout, its row is computed and sent.
        channel: of the live view.
        waiting: shows the progress of a rollout; called where its row is not known yet.
    """
    shown = view.display
    rolled = data.affinities.get(shown.source)
    if isinstance(rolled, nlviz.RolloutAffinity):
        rolled = rolled.with_residual(shown.residual)
        frame, y, x = view.query
        index = rolled.queries.nearest(frame=frame, y=y, x=x)
        if not rolled.knows(index):
            rolled.prepare(index, progress=waiting())
        only = {"source": shown.source, "residual": shown.residual}
        return _payload(
            data.capture, block, data.affinities, channel, view.query, only, data.pending
        )
    if not data.served:
        return data.payload
    return _payload(data.capture, block, data.affinities, channel, view.query, pending=data.pending)


def _payload(
    capture: nlviz.Capture,
    block: str,
    affinities: dict[str, nlviz.Affinity],
    channel: str,
    query: nlviz.Point | None,
    display: dict[str, Any] | None = None,
    pending: tuple[str, ...] = (),
) -> bytes:
    return nlviz.web.live_view(
        capture,
        block,
        query=query,
        display=display,
        channel=channel,
        affinities=affinities,
        # The device of a saved capture may be another machine's.
        device=nlviz.zoo.device_name(capture.about.device) if capture.blocks else None,
        served=True,
        pending=pending,
    )
