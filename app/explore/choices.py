"""What a visitor chose on the Explore page, and how an address says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self
from urllib.parse import quote

import nlviz

from ..shared.choices import Choices as PageChoices
from ..shared.choices import Chose
from ..shared.uploads import Upload, keep

FIRST_INPUT = "composed-twins.mp4"
FIRST_MODEL = "lite-nl"
FIRST_FRAMES = 8
FIRST_TEXT_MODEL = "muse.reverse"
FIRST_GRAPH, FIRST_GRAPH_MODEL = "lookup.json", "gat.lookup"
BUNDLED, UPLOAD = "Bundled", "Upload"
TEXT, GRAPH = "Text", "Graph"
NEEDED = {TEXT: "text", GRAPH: "graph"}  # what a network must take, by kind of input; a clip else
SAVED = "Saved capture"  # the kind of input that brings its own maps
SURVEY = "Survey"  # a clip of a survey, with the frames that were looked at
SURVEY_MARK = "survey:"  # in an address, before the digest and the name of such a clip
MODEL, FILE = "Model", "File"
SIZES = (None, 240, 360, 480, 720)
MOST_IN_ADDRESS = 2000  # characters of a text as an address escapes it; browsers take few more
GRAPH_ENDING = ".json"
MOST_TYPED = 1 << 15  # characters of a text on the page
_OF_NETWORK = frozenset(
    {"network", "model", "text_model", "graph_model", "weights", "weights_path"}
)
_OF_CLIP = ("start", "stride", "frames", "size")

Boxes = tuple[tuple[float, float, float, float, float], ...]  # frame, top, left, bottom, right


@dataclass(frozen=True)
class Sampled:
    """The clip is sampled as a network was trained, when it is first opened.

    Attributes:
        network: what is opened.
        frames: of its training.
        stride: of its training.
    """

    network: str
    frames: int | None
    stride: int | None


@dataclass(frozen=True)
class Agreed:
    """The visitor agreed to something that is asked about once: a download, a long run.

    Attributes:
        to: what it is.
    """

    to: object


@dataclass(frozen=True)
class InBlock:
    """The network has no such block as was chosen, if any; another is shown.

    Attributes:
        name: of the block that is shown.
        note: what is wrong with the one that was chosen.
    """

    name: str
    note: str = ""


@dataclass(frozen=True)
class Heads(InBlock):
    """All heads of a block are asked for side by side, for a token without a place.

    Attributes:
        token: its name.
    """

    token: str = ""


@dataclass(frozen=True)
class InHead(InBlock):
    """One head of a block is shown.

    Attributes:
        head: its number from 0; None for the mean over heads.
    """

    head: int | None = None


@dataclass(frozen=True)
class Asked:
    """The row of a word is asked for by its name.

    Attributes:
        token: its name; empty for a point, or a word that has a place.
        query: the place of the word, where it has one.
        note: what is wrong with what was asked for.
    """

    token: str
    query: nlviz.Point | None = None
    note: str = ""


@dataclass(frozen=True)
class Choices(PageChoices):
    """Choices of the Explore page; each kind of input and of network keeps its own.

    Attributes:
        kind: of the input: bundled, an upload, a text, a graph, or a saved capture that was
            offered.
        input: name of a bundled clip.
        upload: the visitor's own clip, or None.
        text: the text that is the input; empty for the network's own example.
        question: what a network of clips and texts is told beside the clip.
        boxes: that a network of clips and boxes is asked about; none for its own default.
        graph: name of a bundled graph.
        graph_upload: the visitor's own graph, or None.
        saved: name of a saved capture.
        survey: digest and name of a survey's clip, with a colon between.
        start: seconds from the beginning of the clip.
        stride: every n-th frame, or None for frames spread evenly.
        frames: their number, or None for all.
        size: shorter side in pixels, or None for the file's own.
        network: kind of the network: one by name, or a file of weights.
        model: its name.
        text_model: name of the one that reads a text.
        graph_model: name of the one that reads a graph.
        weights: an upload of weights, or None.
        weights_path: path of a file of weights on the server's machine.
        flags: what its keys do not tell, as text.
        device: where it runs; empty for the first there is.
        half: whether it runs in half precision.
        block: the block on the screen; None for the network's last.
        sampled_for: the network whose sampling was taken over.
        attribution_method: key of the method of attribution; empty for the first.
        attribution_target: the answer that is attributed; empty for the best.
        ask: name of the question below the map that is open; None for none.
        agreed: what the visitor agreed to.
    """

    of_input: ClassVar[frozenset[str]] = frozenset(
        {"kind", "input", "upload", "saved", "survey", "text", "graph", "graph_upload"}
    )

    kind: str = BUNDLED
    input: str = FIRST_INPUT
    upload: Upload | None = None
    text: str = ""
    question: str = ""
    boxes: Boxes = ()
    graph: str = FIRST_GRAPH
    graph_upload: Upload | None = None
    saved: str | None = None
    survey: str = ""
    start: float = 0.0
    stride: int | None = None
    frames: int | None = FIRST_FRAMES
    size: int | None = None
    network: str = MODEL
    model: str = FIRST_MODEL
    text_model: str = FIRST_TEXT_MODEL
    graph_model: str = FIRST_GRAPH_MODEL
    weights: Upload | None = None
    weights_path: str = ""
    flags: str = ""
    device: str = ""
    half: bool = False
    block: str | None = None
    sampled_for: str = FIRST_MODEL
    attribution_method: str = ""
    attribution_target: str = ""
    ask: str | None = None
    agreed: frozenset[object] = frozenset()

    @property
    def of(self) -> str:
        """A text that changes with the clip."""
        if self.kind == TEXT:
            return nlviz.digest_of(repr((self.kind, self.words, self.network_text)).encode())
        if self.kind == GRAPH:
            return repr((self.kind, self.graph_upload or self.graph))
        own = {BUNDLED: self.input, UPLOAD: self.upload, SURVEY: self.survey}
        name: object = own.get(self.kind, self.saved)
        told: list[object] = [*self.boxes]
        if self.question:
            told.append(nlviz.digest_of(self.question.encode()))
        return repr((self.kind, name, *(getattr(self, each) for each in _OF_CLIP), *told))

    @property
    def name(self) -> str:
        """Name of the input, or empty while an upload is missing."""
        if self.kind == UPLOAD:
            return "" if self.upload is None else self.upload.name
        if self.kind == TEXT:
            return "the text"
        if self.kind == GRAPH:
            return self.graph if self.graph_upload is None else self.graph_upload.name
        if self.kind == SURVEY:
            return self.survey.partition(":")[2] or self.survey[:12]
        return self.input if self.kind == BUNDLED else self.saved or ""

    @property
    def survey_digest(self) -> str:
        """Digest of the survey's clip."""
        return self.survey.partition(":")[0]

    @property
    def named(self) -> str:
        """Name of the network of this kind of input, where it is one by name."""
        own = {TEXT: self.text_model, GRAPH: self.graph_model}
        return own.get(self.kind, self.model)

    @property
    def words(self) -> str:
        """The text that is the input: what was typed, or the network's own example."""
        card = nlviz.zoo.CARDS.get(self.named)
        return self.text or ("" if card is None or self.network != MODEL else card.example)

    @property
    def told(self) -> str:
        """What a network of clips and texts is told: what was typed, or its own example."""
        card = nlviz.zoo.CARDS.get(self.model)
        return self.question or ("" if card is None or self.network != MODEL else card.example)

    @property
    def network_text(self) -> str:
        """The network as an address names it; empty while a file is missing."""
        if self.network == MODEL:
            return self.named
        return self.weights_path if self.weights is None else self.weights.text

    def after(self, event: object) -> Self:
        """Return the choices that follow an event."""
        if isinstance(event, Sampled):
            if self.sampled_for == event.network:
                return self
            return replace(
                self, sampled_for=event.network, frames=event.frames, stride=event.stride
            )
        if isinstance(event, Agreed):
            return replace(self, agreed=self.agreed | {event.to}, notes=())
        if isinstance(event, Heads):
            shown = {**self.display, "token": event.token, "heads": "all"}
            shown.pop("source", None)  # parts and controls have no such token
            return replace(self, block=event.name, display=shown, notes=())
        if isinstance(event, InHead):
            left = ("source", "head")  # parts and controls have other heads
            shown = {name: value for name, value in self.display.items() if name not in left}
            shown |= {"heads": "one"} | ({} if event.head is None else {"head": event.head})
            return replace(self, block=event.name, display=shown, notes=())
        if isinstance(event, Asked):
            notes = tuple(filter(None, [event.note]))
            after = replace(self, display={**self.display, "token": event.token}, notes=notes)
            return after if event.query is None else replace(after, query=event.query, pinned=True)
        if isinstance(event, InBlock):
            notes = (*self.notes, event.note) if event.note else self.notes
            return replace(self, block=event.name, notes=notes)
        after = super().after(event)
        if isinstance(event, Chose) and after is not self:
            others = event.field == "kind" and {self.kind, event.value} & NEEDED.keys()
            if event.field in _OF_NETWORK or others:
                after = replace(after, block=None)
            if event.field == "text_model":  # each cuts a text its own way
                after = after.with_another_input()
            if event.field == "boxes":  # the query was one of the others
                after = replace(after, query=None, pinned=False)
            if event.field == "graph":
                after = replace(after, graph_upload=None)
            if event.field in ("question", "text", "kind"):  # a word that was asked for
                kept = {name: value for name, value in after.display.items() if name != "token"}
                after = replace(after, display=kept)
            if event.field == "weights_path" and event.value:
                after = replace(after, weights=None)
        return after

    def with_another_input(self) -> Self:
        """Return the choices for another input, from its beginning."""
        return replace(super().with_another_input(), start=0.0)


def parameters(now: Choices, view: nlviz.View) -> dict[str, str]:
    """Return the parameters of an address that opens the page as it is.

    Args:
        now: the choices.
        view: what is on the screen.
    """
    params = view.to_query_params() | ({"ask": now.ask} if now.ask else {})
    if now.kind == SAVED:  # named as the command line offered it; no address names a file of maps
        of_input = ("clip", "text", "boxes", "model", *_OF_CLIP)
        kept = {n: text for n, text in params.items() if n not in of_input}
        return {"capture": now.saved or "", **kept}
    params["model"] = now.network_text
    if now.kind == SURVEY:  # its frames are those of the survey
        params = {n: text for n, text in params.items() if n not in (*_OF_CLIP, "fps")}
        params["clip"] = f"{SURVEY_MARK}{now.survey}"
    if len(quote(params.get("text", ""))) > MOST_IN_ADDRESS:
        params["text"] = keep("text.txt", params["text"].encode()).text
    own = {UPLOAD: now.upload, GRAPH: now.graph_upload}.get(now.kind)
    if own is not None:
        params["clip"] = own.text
    if now.kind == GRAPH:
        params.pop("frames", None)
    if now.network == FILE and now.flags:
        params["flags"] = now.flags
    params |= {"half": "1"} if now.half else {}
    params |= {"device": now.device} if now.device else {}
    return params


def opened(address: Mapping[str, str], first: Choices) -> Choices:
    """Return the choices that an address describes, as far as it can be read.

    Args:
        address: parameters by name.
        first: choices of a first visit, for all that the address leaves open.
    """
    found = nlviz.View.understood(address)
    values: dict[str, Any] = dict(found.values)
    chosen: dict[str, Any] = {n: values.pop(n) for n in (*_OF_CLIP, "block") if n in values}
    if "at" in values:
        chosen |= {"query": values.pop("at"), "pinned": True}
    notes = [found.complaint] if found.complaint else []
    words = ""
    if "text" in values:
        try:
            words = text_of(values.pop("text"))
        except nlviz.NlvizError as error:
            notes.append(str(error))
    if "clip" in values:
        name = values.pop("clip")
        upload = Upload.parse(name)
        if name.startswith(SURVEY_MARK):
            chosen |= {"kind": SURVEY, "survey": name.removeprefix(SURVEY_MARK)}
        elif name in nlviz.bundled_graphs():
            chosen |= {"kind": GRAPH, "graph": name}
        elif upload is not None and upload.name.lower().endswith(GRAPH_ENDING):
            chosen |= {"kind": GRAPH, "graph_upload": upload}
        elif upload is not None:
            chosen |= {"kind": UPLOAD, "upload": upload}
        else:
            chosen |= {"kind": BUNDLED, "input": name}
        chosen |= {"question": words, "boxes": values.pop("boxes", ())}
    elif "text" in address:
        chosen |= {"kind": TEXT, "text": words}
    if "capture" in address:
        chosen |= {"kind": SAVED, "saved": address["capture"]}
    if "model" in values:
        chosen |= _network(values.pop("model"), chosen.get("kind", first.kind))
        chosen["flags"] = address.get("flags", "")
    chosen["half"] = address.get("half", "") not in ("", "0")
    chosen["device"] = address.get("device", "")
    chosen["ask"] = address.get("ask") or None
    opens = replace(first, **chosen, display=values)
    if chosen.keys() & {"query", "start", "stride", "frames"}:
        opens = replace(opens, sampled_for=opens.network_text)  # as it says, not as it was trained
    return replace(opens, notes=tuple(notes))


def text_of(words: str) -> str:
    """Return the text of an address: itself, or that of the upload which it names.

    Raises:
        NlvizError: when the upload is no longer kept, or it is too long for the page.
    """
    upload = Upload.parse(words)
    return checked(words) if upload is None else written(upload.path().read_bytes(), upload.name)


def written(content: bytes, name: str) -> str:
    """Return the text of a file.

    Raises:
        NlvizError: when it is no text in UTF-8, or too long for a page.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise nlviz.NlvizError(
            f"{name} is no text in UTF-8; save it as UTF-8, or drop a clip where clips are opened"
        ) from None
    return checked(text.strip())


def checked(text: str) -> str:
    """Return a text that is not too long for a page.

    Raises:
        NlvizError: when it is.
    """
    if len(text) > MOST_TYPED:
        raise nlviz.NlvizError(
            f"a text has at most {MOST_TYPED:,} characters on this page, this one has "
            f"{len(text):,}; take a part of it, or read it with nlviz.read_text"
        )
    return text


def _network(text: str, kind: str) -> dict[str, Any]:
    if (upload := Upload.parse(text)) is not None:
        return {"network": FILE, "weights": upload}
    if Path(text).is_absolute():
        return {"network": FILE, "weights_path": text}
    field = {TEXT: "text_model", GRAPH: "graph_model"}.get(kind, "model")
    return {"network": MODEL, field: text}
