"""How a survey is started: what was asked becomes items, an engine and a run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nlviz.errors import NlvizError
from nlviz.surveys.engines.engine import Engine
from nlviz.surveys.item import Item
from nlviz.surveys.options import SurveyOptions
from nlviz.surveys.store import Contents, SurveyFolder

if TYPE_CHECKING:
    from nlviz.captures.model import Model
    from nlviz.clips.clip import Clip
    from nlviz.surveys.listing.listed import Listing
    from nlviz.surveys.tally import Tally


@dataclass(frozen=True)
class Request:
    """What was asked; the fields are the arguments of ``nlviz.survey``."""

    clips: Any
    model: Any
    options: SurveyOptions
    folder: Path
    engine: Any = "local"
    workers: int | None = None
    address: str | None = None
    limit: int | None = None
    sample: int | None = None
    resume: bool = False
    listing: dict[str, Any] = field(default_factory=dict)
    load: dict[str, Any] = field(default_factory=dict)


def started(
    request: Request,
    tell: Callable[[Tally], object],
    listing: Listing | None = None,
) -> Tally:
    """Run a survey to its end, and return how it went.

    Args:
        request: what was asked.
        tell: called with the tally after each clip.
        listing: of the clips, where the caller wants to know what was left out.

    Raises:
        NlvizError: see ``nlviz.survey``.
    """
    from nlviz.surveys.listing.choosing import chosen
    from nlviz.surveys.run import Run

    memory, arguments = in_memory(request.clips)
    own = own_model(request.model)
    engine = engine_of(request, own, memory)
    load = {k: v for k, v in request.load.items() if v is not None}
    asked = Contents(
        model=own.about.name if own is not None else named(request.model),
        load={k: v for k, v in load.items() if k != "device"},  # rows say the same on each
        options=request.options,
    )
    folder = SurveyFolder(request.folder)
    run = Run(folder, asked, engine, load=load, tell=tell)

    def items(anew: bool) -> Iterable[Item]:
        found = listing if listing is not None and not anew else listing_of(request, arguments)
        return chosen(found, limit=request.limit, sample=request.sample, seed=request.options.seed)

    def count() -> None:
        try:
            run.tally.total = sum(1 for _ in items(anew=True))
        except Exception:  # the run itself says what is wrong
            return

    threading.Thread(target=count, name="counting", daemon=True).start()
    return run.all(items(anew=False), workers=request.workers, resume=request.resume)


def listing_of(request: Request, arguments: Sequence[Any]) -> Listing:
    """Return the clips that arguments name."""
    from nlviz.surveys.listing.listed import listed

    return listed(arguments, **request.listing)


def in_memory(clips: Any) -> tuple[dict[str, Clip], list[Any]]:
    """Return the clips that are in memory by their uri, and all arguments with items for them."""
    from nlviz.clips.clip import Clip

    given = [clips] if isinstance(clips, str | Path | Item | Clip) else list(clips)
    memory: dict[str, Clip] = {}
    arguments: list[Any] = []
    for one in given:
        if isinstance(one, Clip):
            uri = f"clip:{one.digest}"
            memory[uri] = one
            one = Item(uri, "file", one.name)
        arguments.append(one)
    return memory, arguments


def own_model(model: Any) -> Model | None:
    """Return a network of Python's as a Model; None of a name.

    Raises:
        NlvizError: when it is neither.
    """
    if isinstance(model, str | Path):
        return None
    from torch import nn

    from nlviz.captures.model import Model

    if isinstance(model, nn.Module):
        return Model(model)
    if not isinstance(model, Model):
        raise NlvizError(
            f"a survey takes the name of a network or a network, got a {type(model).__name__}"
        )
    return model


def named(model: str | Path) -> str:
    """Return the name of a network, of a file the whole path, so that it is the same anywhere."""
    path = Path(model)
    is_path = isinstance(model, Path) or len(path.parts) > 1 or path.suffix
    return str(path.absolute()) if is_path and path.exists() else str(model)


def engine_of(request: Request, own: Model | None, memory: dict[str, Clip]) -> Engine:
    """Return what runs the workers.

    Raises:
        NlvizError: when there is no such engine, or it cannot have what is in this process.
    """
    engine = request.engine
    if own is not None or memory:
        if engine == "ray" or (request.workers or 1) > 1:
            what = "a network" if own is not None else "a clip"
            raise NlvizError(
                f"{what} of this process stays in it; name a file or MODULE:FUNCTION, that each "
                "worker can load for itself, or leave engine and workers out"
            )
        engine = "inline" if isinstance(engine, str) else engine
    if request.address is not None and engine != "ray":
        raise NlvizError("an address is that of a Ray cluster; say --engine ray with it")
    if engine == "inline":
        from nlviz.surveys.engines.inline import InlineEngine

        return InlineEngine(own, memory)
    if engine == "local":
        from nlviz.surveys.engines.local import LocalEngine

        return LocalEngine()
    if engine == "ray":
        from nlviz.surveys.engines.ray import RayEngine

        return RayEngine(request.address)
    if isinstance(engine, str):
        raise NlvizError(f"an engine is local, ray or inline, got {engine!r}")
    return engine  # type: ignore[no-any-return]
