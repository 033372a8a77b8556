"""Names of models, and what they stand for: one switch for the library, the command line, the app.

A name is read in this order: ``timm/NAME``, a name of the catalogue, ``hf:NAME`` or a folder of
transformers, an existing file, and ``MODULE:FUNCTION``. Reading it loads nothing and runs nothing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlviz.captures.model import About, Model
from nlviz.captures.precision import half_precision
from nlviz.errors import (
    NlvizError,
    NoNonLocalBlocks,
    UnknownModel,
    UnreadableCheckpoint,
    did_you_mean,
)
from nlviz.families import adapter_of_any, recognised
from nlviz.families.reading.report import LoadReport
from nlviz.progress import Listener, Progress
from nlviz.zoo.cards import CARDS, ModelCard
from nlviz.zoo.checkpoints import inspect_checkpoint, load_checkpoint
from nlviz.zoo.devices import pick_device
from nlviz.zoo.files import read_checkpoint
from nlviz.zoo.labels import labels_named
from nlviz.zoo.live_report import live_report
from nlviz.zoo.positions import with_positions
from nlviz.zoo.published import card_for, completed, digest_fits, file_of
from nlviz.zoo.python_models import built_by, is_function
from nlviz.zoo.timm import is_timm, timm_model
from nlviz.zoo.transformers import is_transformers, transformers_model


@dataclass(frozen=True)
class _Request:
    """How a model is asked for; the fields are the arguments of ``ModelSource.load``."""

    device: str | None
    family: str | None
    autocast: str | None
    progress: Progress
    allow_code: bool
    flags: Mapping[str, object]  # none of them None
    needs_blocks: bool = True


@dataclass(frozen=True)
class ModelSource(ABC):
    """Where a model comes from: a small value that can be compared, hashed and pickled.

    Attributes:
        name: what the user wrote.

    >>> ModelSource.parse("lite-nl")
    Bundled(name='lite-nl')
    """

    name: str

    @staticmethod
    def parse(text: str | Path) -> ModelSource:
        """Return what a model's name stands for; nothing is loaded.

        Args:
            text: one of ``list_models()``, ``timm/`` and the name of a transformer of timm, ``hf:``
                and the name of one of transformers, the path of a file or folder of weights, or
                ``MODULE:FUNCTION``.

        Raises:
            UnknownModel: when it is neither; the close names are listed.

        >>> ModelSource.parse("timm/deit_tiny_patch16_224.fb_in1k")
        Timm(name='timm/deit_tiny_patch16_224.fb_in1k')
        >>> ModelSource.parse("my_module:build")
        PythonFunction(name='my_module:build')
        """
        name = str(text)
        if is_timm(name):
            return Timm(name)
        if name in CARDS:
            return Bundled(name) if CARDS[name].weights else Published(name)
        if is_transformers(name):
            return Transformers(name)
        if Path(name).is_file():
            return WeightsFile(name)
        if is_function(name):
            return PythonFunction(name)
        if name.strip() and Path(name).is_dir():
            return WeightsFile(name)
        raise _unknown(name)

    @property
    def card(self) -> ModelCard | None:
        """Card of the published weights, or None."""
        return None

    def load(
        self,
        *,
        device: str | None = None,
        family: str | None = None,
        autocast: str | None = None,
        progress: Listener | None = None,
        allow_code: bool = False,
        needs_blocks: bool = True,
        **flags: Any,
    ) -> Model:
        """Load the model; arguments and errors are those of :func:`nlviz.load_model`.

        >>> ModelSource.parse("lite-nl").load(device="cpu")
        Model(lite-nl, stage3, stage4, on cpu)
        """
        given = _given(flags)
        tell = Progress.of(progress)
        return self._load(_Request(device, family, autocast, tell, allow_code, given, needs_blocks))

    def inspect(
        self,
        *,
        family: str | None = None,
        progress: Listener | None = None,
        allow_code: bool = False,
        **flags: Any,
    ) -> LoadReport:
        """Report what the model is made of, as :func:`nlviz.inspect_weights` does."""
        given = _given(flags)
        tell = Progress.of(progress)
        return self._inspect(_Request("cpu", family, None, tell, allow_code, given))

    def examine(
        self,
        *,
        device: str | None = None,
        family: str | None = None,
        progress: Listener | None = None,
        allow_code: bool = False,
        **flags: Any,
    ) -> tuple[LoadReport, Model | None]:
        """Report what the model is made of, and load it unless tensors or blocks are missing.

        Arguments and errors are those of :func:`nlviz.load_model`.
        """
        given = _given(flags)
        tell = Progress.of(progress)
        return self._examine(_Request(device, family, None, tell, allow_code, given))

    def digest_fits(self, report: LoadReport) -> bool | None:
        """Return whether the weights have the published digest; None if no digest was published."""
        return None

    @abstractmethod
    def _load(self, asked: _Request) -> Model: ...

    @abstractmethod
    def _inspect(self, asked: _Request) -> LoadReport: ...

    @abstractmethod
    def _examine(self, asked: _Request) -> tuple[LoadReport, Model | None]: ...


class _OfFile(ModelSource):
    """Weights in a file; nothing in it is run, whether code is allowed or not."""

    @property
    def family(self) -> str | None:
        """Family that the publisher names, or None."""
        return None

    @abstractmethod
    def file(self, *, progress: Listener | None = None) -> Path:
        """Return the path of the file, downloaded when it is not there."""

    def digest_fits(self, report: LoadReport) -> bool | None:
        """Return whether the file has the digest of the card that its name belongs to."""
        return None if self.card is None else digest_fits(self.card, self.file(), report.digest)

    def _load(self, asked: _Request) -> Model:
        to, half = pick_device(asked.device), half_precision(asked.autocast)
        path = self.file(progress=asked.progress.part(0.0, 0.6))
        net, report = load_checkpoint(
            path,
            family=asked.family or self.family,
            progress=asked.progress.part(0.6, 0.9),
            **self._flags(asked),
        )
        report = completed(report, path, self.card, asked.flags)
        needs_blocks = asked.needs_blocks and (self.card is None or self.card.has_blocks)
        if not report.blocks and needs_blocks:
            raise NoNonLocalBlocks(
                f"{path.name} is a {report.architecture}; there is nothing to look into. Put a "
                "block in with nlviz.insert(net, after=...), take another file, or load it with "
                "needs_blocks=False for its answers and features"
            )
        asked.progress("Moving the network", 0.95)
        net.eval().requires_grad_(False).to(to)
        return Model(
            net,
            adapter=None if needs_blocks else adapter_of_any(net),
            about=self._about(report),
            labels=labels_named(report.labels) if report.labels else (),
            input_spec=report.input_spec,
            report=report,
            autocast=half,
        )

    def _inspect(self, asked: _Request) -> LoadReport:
        path = self.file(progress=asked.progress.part(0.0, 0.6))
        report = inspect_checkpoint(
            path,
            family=asked.family or self.family,
            progress=asked.progress.part(0.6, 1.0),
            **self._flags(asked),
        )
        return completed(report, path, self.card, asked.flags)

    def _examine(self, asked: _Request) -> tuple[LoadReport, Model | None]:
        report = self._inspect(asked)
        whole = report.complete and report.blocks
        return report, self._load(asked) if whole else None

    def _flags(self, asked: _Request) -> dict[str, Any]:
        return {**({} if self.card is None else self.card.flags), **asked.flags}

    def _about(self, report: LoadReport) -> About:
        return About(f"{report.family} ({report.file})", report.trained_for, report.digest)


class _OfCard(_OfFile):
    """Weights of the catalogue, by name."""

    @property
    def card(self) -> ModelCard:
        """Card of the weights."""
        return CARDS[self.name]

    @property
    def family(self) -> str:
        """Family that the card names."""
        return self.card.family

    def file(self, *, progress: Listener | None = None) -> Path:
        """Return the path of the file, its digest checked."""
        return file_of(self.card, progress=progress)

    def _about(self, report: LoadReport) -> About:
        return About(self.card.name, self.card.trained_for, report.digest)


class Bundled(_OfCard):
    """Weights that come with nlviz."""


class Published(_OfCard):
    """Weights of the catalogue that are downloaded when first asked for, and kept."""


class WeightsFile(_OfFile):
    """A file or folder of weights on this machine; the name is its path."""

    @property
    def card(self) -> ModelCard | None:
        """Card of the published file of the same name, or None."""
        return card_for(Path(self.name))

    def file(self, *, progress: Listener | None = None) -> Path:
        """Return the path.

        Raises:
            UnknownModel: when the file has gone since its name was parsed.
        """
        path = Path(self.name)
        if not path.exists():
            raise _unknown(self.name)
        return path


class _InMemory(ModelSource):
    """A network that is built rather than read; its report describes the modules."""

    def _inspect(self, asked: _Request) -> LoadReport:
        return self._examine(asked)[0]

    def _examine(self, asked: _Request) -> tuple[LoadReport, Model | None]:
        model = self._load(asked)
        return live_report(model, self.name), model

    def _finished(self, model: Model, asked: _Request) -> Model:
        """Return a network where it was asked for, with positions as they were asked for."""
        to, half = pick_device(asked.device), half_precision(asked.autocast)
        if (way := asked.flags.get("positions")) is not None:
            with_positions(model.net, self.name, way)
        model.net.to(to)
        model.autocast = half
        return model

    def _without_flags(self, given: Mapping[str, object]) -> None:
        """Refuse flags that could change nothing: all but that of positions.

        Raises:
            NlvizError: with the first flag's name.
        """
        for key in given:
            if key == "positions":
                continue
            raise NlvizError(
                f"{self.name} tells its own computation, the flag {key} changes nothing; leave it "
                "out"
            )


class Timm(_InMemory):
    """A transformer of timm with its published weights."""

    def _load(self, asked: _Request) -> Model:
        self._without_flags(_given({"family": asked.family, **asked.flags}))
        model = timm_model(self.name, progress=asked.progress, needs_blocks=asked.needs_blocks)
        return self._finished(model, asked)


class Transformers(_InMemory):
    """A network of the library transformers: a folder that it saved, or ``hf:`` and a name.

    The configuration says all; where flags are given nevertheless, the weights are read as any
    other file, in a layout that has them.
    """

    def _load(self, asked: _Request) -> Model:
        if (file := self._weights(asked)) is not None:
            return file._load(asked)
        self._without_flags(_given({"family": asked.family, **asked.flags}))
        model = transformers_model(
            self.name, progress=asked.progress, needs_blocks=asked.needs_blocks
        )
        return self._finished(model, asked)

    def _inspect(self, asked: _Request) -> LoadReport:
        file = self._weights(asked)
        return super()._inspect(asked) if file is None else file._inspect(asked)

    def _examine(self, asked: _Request) -> tuple[LoadReport, Model | None]:
        file = self._weights(asked)
        return super()._examine(asked) if file is None else file._examine(asked)

    def _weights(self, asked: _Request) -> WeightsFile | None:
        """Return the weights as a file of their own, where flags ask for a layout that knows it."""
        given = _given({"family": asked.family, **asked.flags})
        if not set(given) - {"positions"} or not Path(self.name).exists():
            return None
        try:
            known = recognised(read_checkpoint(Path(self.name)))
        except UnreadableCheckpoint:
            return None
        return WeightsFile(self.name) if known else None


class PythonFunction(_InMemory):
    """A network that a function of the user's own module builds; loading it runs the module."""

    def _load(self, asked: _Request) -> Model:
        if not asked.allow_code:
            raise UnknownModel(
                f"no model is called {self.name!r}; a name MODULE:FUNCTION runs code, which only "
                f"you can allow: `nlviz attend --model {self.name}`, `nlviz app --model "
                f"{self.name}`, or load_model({self.name!r}, allow_code=True)"
            )
        to, half = pick_device(asked.device), half_precision(asked.autocast)
        self._without_flags(asked.flags)
        if "positions" in asked.flags:
            raise NlvizError(f"{self.name} builds its network itself; leave out positions=")
        asked.progress(f"Running {self.name}", 0.0)
        model = built_by(self.name, family=asked.family, needs_blocks=asked.needs_blocks)
        model.net.to(to)
        model.autocast = half or model.autocast
        return model


def _given(flags: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in flags.items() if value is not None}


def _unknown(name: str) -> UnknownModel:
    return UnknownModel(f"no model is called {name!r}{did_you_mean(name, CARDS)}")
