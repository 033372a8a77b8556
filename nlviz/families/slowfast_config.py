"""The configuration of a SlowFast checkpoint: YAML text that is saved with the weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

import yaml

from nlviz.errors import WeightsMismatch
from nlviz.families.reading.checkpoint import Checkpoint

_LONGEST = 1_000_000  # characters; the originals have some ten thousand


@dataclass(frozen=True)
class Config:
    """A configuration; false where the file has no configuration.

    Attributes:
        values: by section and name.
    """

    values: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.values)

    def at(self, section: str, name: str) -> Any:
        """Return a value, or None."""
        part = self.values.get(section)
        return part.get(name) if isinstance(part, Mapping) else None

    def text(self, section: str, name: str) -> str:
        """Return a text, or an empty one."""
        value = self.at(section, name)
        return value if isinstance(value, str) else ""

    def number(self, section: str, name: str) -> int:
        """Return a whole number above 0, or 0."""
        value = self.at(section, name)
        plain = isinstance(value, int) and not isinstance(value, bool)
        return max(int(value), 0) if plain else 0

    def colours(self, name: str, usual: float) -> tuple[float, float, float]:
        """Return the mean or deviation per channel, on values in [0, 255].

        >>> Config({"DATA": {"MEAN": [0.5, 0.4, 0.3]}}).colours("MEAN", 0.45)
        (127.5, 102.0, 76.5)
        """
        value = self.at("DATA", name)
        found = [usual] * 3
        if isinstance(value, list) and len(value) == 3:
            # A deviation of 0 would make every pixel infinite.
            if all(isinstance(v, (int, float)) and isfinite(v) for v in value):
                found = [float(v) for v in value] if name == "MEAN" or min(value) > 0 else found
        r, g, b = (round(255 * v, 6) for v in found)
        return r, g, b

    def per_stage(self, name: str, stages: set[int]) -> list[Any]:
        """Return a property of the blocks in the slow pathway of some stages."""
        value = self.at("NONLOCAL", name)
        found = []
        for stage in sorted(stages):
            try:
                found.append(value[stage - 2][0])
            except (TypeError, IndexError, KeyError):
                continue
        return found

    def key_pool(self, stages: set[int], source: str) -> int:
        """Return the side of the max-pooling of keys, or 0 where nothing is said.

        Raises:
            WeightsMismatch: when the pooling differs between stages, or covers time.

        >>> Config({"NONLOCAL": {"POOL": [[[1, 2, 2]], [[1, 2, 2]]]}}).key_pool({3}, "a.pyth")
        2
        """
        kernels = self.per_stage("POOL", stages)
        if not kernels:
            return 0
        first = kernels[0]
        whole = isinstance(first, list) and all(isinstance(k, int) and k > 0 for k in first)
        square = whole and len(first) == 3 and first[1] == first[2]
        if not square or first[0] != 1 or any(k != first for k in kernels):
            raise WeightsMismatch(
                f"{source} pools the keys of its blocks by {', '.join(map(str, kernels))}; here "
                "they are pooled in space alone, by the same square everywhere"
            )
        return int(first[1])

    def groups(self, stages: set[int]) -> int:
        """Return into how many groups of frames the blocks of some stages fold time, most often 1.

        >>> Config({"NONLOCAL": {"GROUP": [[1], [4], [1], [1]]}}).groups({3, 4})
        4
        """
        return max((g for g in self.per_stage("GROUP", stages) if isinstance(g, int)), default=1)

    def refuse_what_is_not_computed(self, source: str) -> None:
        """Refuse networks whose weights have the same names and shapes but another computation.

        Raises:
            WeightsMismatch: naming the setting.
        """
        usual = {
            ("RESNET", "SPATIAL_STRIDES"): ([[1], [2], [2], [2]], [[1, 1], [2, 2], [2, 2], [2, 2]]),
            ("RESNET", "SPATIAL_DILATIONS"): ([[1]] * 4, [[1, 1]] * 4),
            ("RESNET", "STRIDE_1X1"): (False,),
            ("RESNET", "NUM_GROUPS"): (1,),
            ("DETECTION", "ENABLE"): (False,),
        }
        for (section, name), values in usual.items():
            found = self.at(section, name)
            if found is not None and found not in values:
                raise WeightsMismatch(
                    f"{source} was trained with {section}.{name} {found}, which is not computed "
                    f"here; only {values[0]} is"
                )


def config_of(checkpoint: Checkpoint) -> Config:
    """Return the configuration that a checkpoint carries; an unreadable one counts as empty."""
    text = checkpoint.meta.get("cfg")
    if isinstance(text, Mapping):
        return Config(text)
    if not isinstance(text, str) or len(text) > _LONGEST:
        return Config()
    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError):
        return Config()
    return Config(values) if isinstance(values, Mapping) else Config()
