"""What the app may open beyond the catalogue: functions of the user's, captures, and surveys.

All are offered by the command line when the app is started. The app finds captures by their files'
names, and clips of surveys by their digests; no address can name another file, or another module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nlviz.errors import NlvizError

if TYPE_CHECKING:
    from nlviz.clips.clip import Clip
    from nlviz.families.reading.input_spec import InputSpec


class SurveyOffer(Protocol):
    """A survey whose clips the app may open, see ``nlviz.surveys.offered``."""

    @property
    def name(self) -> str:
        """What the survey is called."""

    @property
    def model(self) -> str:
        """Name of its network."""

    @property
    def load(self) -> Mapping[str, Any]:
        """How the network was loaded: family, autocast, flags."""

    @property
    def clips(self) -> Mapping[str, str]:
        """Name of each clip, by the digest of its bytes."""

    def read(self, digest: str, spec: InputSpec | None) -> Clip:
        """Return a clip with the frames that the survey looked at."""

    def source(self, digest: str) -> Path | bytes | None:
        """Return where a clip's bytes are."""


_functions: list[str] = []
_captures: dict[str, Path] = {}
_surveys: list[SurveyOffer] = []
_report: dict[str, Any] = {}


def offer_function(name: str) -> None:
    """Let the app run ``MODULE:FUNCTION``, which builds a network.

    Raises:
        NlvizError: when the name is no module and function.
    """
    from nlviz.zoo.python_models import is_function

    if not is_function(name):
        raise NlvizError(
            f"a network of your own is named MODULE:FUNCTION, got {name!r}; a file of weights is "
            "opened on the page"
        )
    if name not in _functions:
        _functions.append(name)


def offer_capture(path: str | Path) -> str:
    """Let the app open a saved capture; return the name that it goes by.

    Raises:
        UnreadableCheckpoint: when it cannot be read.
    """
    from nlviz.captures.capture import read_capture  # imports PyTorch

    path = Path(path).resolve()
    read_capture(path)  # what is wrong with it is said here, not on a page
    _captures[path.name] = path
    return path.name


def functions() -> tuple[str, ...]:
    """Return the functions that the app may run.

    >>> functions()
    ()
    """
    return tuple(_functions)


def captures() -> dict[str, Path]:
    """Return the saved captures that the app may open, by name.

    >>> captures()
    {}
    """
    return dict(_captures)


def offer_surveys(surveys: Sequence[SurveyOffer], report: Mapping[str, Any]) -> None:
    """Let the app show the report of one survey, or of two, and open their clips.

    Args:
        surveys: the surveys.
        report: of them, as ``SurveyReport.to_dict`` returns it.
    """
    _surveys[:] = surveys
    _report.clear()
    _report.update(report)


def surveys() -> tuple[SurveyOffer, ...]:
    """Return the surveys whose clips the app may open.

    >>> surveys()
    ()
    """
    return tuple(_surveys)


def survey_report() -> Mapping[str, Any]:
    """Return the report of the surveys.

    >>> survey_report()
    {}
    """
    return _report


def survey_of_clip(digest: str, model: str = "") -> SurveyOffer:
    """Return the survey that looked at a clip.

    Args:
        digest: of the clip.
        model: name of the network; where both of two surveys have the clip, that one's is meant.

    Raises:
        NlvizError: when none of those that are offered has.

    >>> survey_of_clip("ab12")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    nlviz.errors.NlvizError: no survey is open here that looked at this clip (ab12)...
    """
    found = [survey for survey in _surveys if digest in survey.clips]
    if not found:
        raise NlvizError(
            f"no survey is open here that looked at this clip ({digest[:12]}); start the app with "
            "the survey's folder: nlviz app DIR"
        )
    return next((survey for survey in found if survey.model == model), found[0])
