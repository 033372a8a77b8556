"""A code base that nlviz does not know is added by one file and one line, and found everywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]

# The one file.
TOY = '''
"""Toys: blocks with the embeddings a, b and c."""

from __future__ import annotations

import torch
from torch import nn

from nlviz.affinity.pairwise import Pairwise
from nlviz.families.family import Family, KeyEndings, TableRow
from nlviz.families.reading.adapter import InputSpec
from nlviz.families.reading.card import ModelCard
from nlviz.families.reading.foreign_blocks import ForeignAdapter, Parts
from nlviz.families.reading.key_map import KeyMap
from nlviz.families.reading.layout import Block, Reading


class Toy(nn.Module):
    def __init__(self, c=6, d=4):
        super().__init__()
        self.a, self.b, self.c = (nn.Conv2d(c, d, 1) for _ in range(3))
        self.out, self.gain = nn.Conv2d(d, c, 1), nn.BatchNorm2d(c)

    def forward(self, x):
        a, b, c = (m(x).flatten(2) for m in (self.a, self.b, self.c))
        y = c @ (a.mT @ b).softmax(-1).mT
        return x + self.gain(self.out(y.unflatten(2, x.shape[2:])))


class ToyNet(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.stem, self.toy, self.head = nn.Conv2d(3, 6, 5, 4, 2), Toy(), nn.Linear(6, classes)

    def forward(self, x):
        return self.head(self.toy(self.stem(x).relu()).mean((2, 3)))


class ToyAdapter(ForeignAdapter):
    def parts(self, block):
        if not isinstance(block, Toy):
            return None
        f = (Pairwise("embedded_gaussian"),)
        return Parts(2, f, (block.out, block.gain), block.a, block.b, block.c)


KEYS = KeyMap((r"toys\\.(?P<key>.+)", "{key}"), wrappers=())


class ToyLayout:
    flags = {}

    def recognise(self, checkpoint):
        return "the name toys.toy.a.weight" if "toys.toy.a.weight" in checkpoint.tensors else None

    def read(self, checkpoint, overrides):
        return Reading(
            architecture="toy",
            build=ToyNet,
            names=KEYS.apply(checkpoint).names,
            blocks=(Block("toy", 6, 4, "embedded_gaussian"),),
            flags={},
            input_spec=InputSpec(size=36, multiple=4, layout="frames"),
            input_note="RGB",
        )


FAMILY = Family(
    name="toy",
    row=TableRow("https://example.org/toys", "toys", "toys", "`toys.`", "–"),
    blocks=ToyAdapter(),
    checkpoint=ToyLayout(),
    key_endings=(KeyEndings("Toys", r"c\\.weight", "out.weight", "a.weight"),),
    last_norm=("gain",),
    cards=(ModelCard("toy-net.toys", "toy", "toys", "MIT", "arXiv 0000.00000", ""),),
)
'''

# What then holds, in a process of its own.
PROGRAM = """
from pathlib import Path
import torch
import nlviz
from nlviz.analysis.health import block_health
from nlviz.families import FAMILIES
from nlviz.families.table import family_table
from nlviz.families.toy import ToyNet
from nlviz.zoo.unknown_keys import find_blocks
from tests.families.conformance import LIVE, SMALL, check_file, check_live, named, uncovered
from tests.families.stand_ins import shaken
from tests.families.writers import WRITERS
from tests.nets import noise_clip

assert str(Path(nlviz.__file__)).startswith(str(Path.cwd())), nlviz.__file__
net, clip = shaken(ToyNet()), noise_clip(2, 48, 64)
assert list(nlviz.capture(net, clip).affinities) == ["toy"]
assert list(nlviz.capture(net, clip, family="toy").affinities) == ["toy"]

path = Path("toy.pth")
torch.save({f"toys.{k}": v for k, v in net.state_dict().items()}, path)
model = nlviz.load_model(path)
assert (model.report.family, model.blocks) == ("toy", ("toy",))
health = block_health(model, model.capture(clip), "toy")
assert health.gamma == float(net.toy.gain.weight.abs().mean())

other = {f"somewhere.{k}": v for k, v in net.state_dict().items()}
assert [block.name for block in find_blocks(other)["Toys"]] == ["somewhere.toy"]
assert "toy-net.toys" in nlviz.list_models()
assert "| `toy` | toys | toys |" in family_table()

assert uncovered(FAMILIES, LIVE, WRITERS) == {"toy": ["a live network", "a file"]}
check_live(named()["toy"], (net, SMALL[2]))
check_file(named()["toy"], path)
print("found")
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the package, whose families can be changed."""
    shutil.copytree(
        ROOT / "nlviz", tmp_path / "nlviz", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("assets", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def test_one_file_and_one_line(copy: Path) -> None:
    families = copy / "nlviz" / "families"
    (families / "toy.py").write_text(TOY, "utf-8")
    listed = (families / "__init__.py").read_text("utf-8")
    line = '    "gluoncv",\n'
    assert listed.count(line) == 1
    (families / "__init__.py").write_text(listed.replace(line, line + '    "toy",\n'), "utf-8")
    done = subprocess.run(
        [sys.executable, "-B", "-c", PROGRAM],
        cwd=copy, env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "found"
