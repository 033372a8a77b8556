"""Where a row's mass lies, by objects, in words."""

from __future__ import annotations

from nlviz.analysis.instance_masses import InstanceMasses
from nlviz.words.health import Line
from nlviz.words.numbers import change_text, percent_text


def instance_lines(masses: InstanceMasses) -> list[Line]:
    r"""Return where a row's mass lies, by objects, in words.

    >>> from nlviz.analysis.instance_masses import RegionMass
    >>> parts = (RegionMass("dog 1", 0.7, 0.1), RegionMass("background", 0.3, 0.9))
    >>> [line.label for line in instance_lines(InstanceMasses(None, parts))]
    ['on dog 1 (uniform: 10\xa0%)', 'on background (uniform: 90\xa0%)']
    """
    change = any(part.mass < 0 for part in masses.regions)
    say = change_text if change else percent_text
    return [
        Line(
            say(part.mass),
            (part.name if part.name.startswith("without") else f"on {part.name}")
            + ("" if change else f" (uniform: {percent_text(part.uniform)})"),
            help="Share of the row's weight, and what it would be if every key had the same; a "
            "cell's weight is split by area. Objects are not followed through time: the same one "
            "on another frame counts as another",
        )
        for part in masses.regions
    ]
