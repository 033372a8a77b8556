"""The list of families: one literal per file, one word per family, nothing foreign imported."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import nlviz
from nlviz.errors import NlvizError, NoNonLocalBlocks
from nlviz.families import FAMILIES, family_named, family_of, last_norm, layout_for
from nlviz.families.table import family_table, renewed
from nlviz.networks.block import NonLocalBlock
from tests.families.stand_ins import NLBlockND, NonLocal, _NonLocalBlockND, _NonLocalNd, gluoncv

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "nlviz" / "families"
OLD = {
    "detection": "torchvision-detection",
    "video resnet": "video-resnet",
    "non-local block": "non-local-block",
    "alexhex7 blocks": "alexhex7",
    "mmcv blocks": "open-mmlab",
    "mmaction2": "open-mmlab",
    "pytorchvideo blocks": "slowfast",
    "gluoncv blocks": "gluoncv",
    "tea1528 blocks": "tea1528",
    "timm non-local": "timm-non-local",
    "timm-vit": "timm-vit",
}


def test_every_literal_is_listed_under_the_name_of_its_file() -> None:
    files = {
        path.relative_to(FOLDER).with_suffix("")
        for path in FOLDER.rglob("*.py")
        if re.search(r"^FAMILY\b", path.read_text("utf-8"), re.MULTILINE)
    }
    names = {"-".join(path.parts).replace("_", "-") for path in files}
    assert names == {family.name for family in FAMILIES}
    assert len(names) == len(FAMILIES)
    for path in files:
        module = importlib.import_module(".".join(("nlviz", "families", *path.parts)))
        assert module.FAMILY in FAMILIES


def test_a_family_reads_something() -> None:
    assert all(f.blocks is not None or f.checkpoint is not None for f in FAMILIES)


def test_names_and_spellings_are_one_familys_alone() -> None:
    words = [word for family in FAMILIES for word in (family.name, *family.aliases)]
    assert len(set(words)) == len(words)


@pytest.mark.parametrize(("old", "new"), OLD.items())
def test_earlier_spellings_still_work(old: str, new: str) -> None:
    assert family_named(old).name == new


def test_files_and_live_networks_take_the_same_names() -> None:
    block = _NonLocalBlockND(6, 3, "gaussian")
    assert family_of(block, family="alexhex7 blocks").name == "alexhex7"
    assert layout_for("alexhex7 blocks") is family_named("alexhex7").checkpoint
    with pytest.raises(NoNonLocalBlocks, match="families know: gluoncv; put"):
        family_of(block, family="gluoncv")
    with pytest.raises(NlvizError, match="caffe2 reads files of weights, not live networks"):
        family_of(block, family="caffe2")
    with pytest.raises(NlvizError, match="video-resnet reads live networks, no files"):
        layout_for("video resnet")
    with pytest.raises(NlvizError, match="'gluoncw'; did you mean 'gluoncv'"):
        family_of(block, family="gluoncw")


@pytest.mark.parametrize(
    ("block", "norm"),
    [
        (NonLocalBlock(6), "bn"),
        (_NonLocalBlockND(6, 3, "dot_product"), "W.1"),
        (_NonLocalNd(6, 2, "gaussian"), "conv_out.bn"),
        (NonLocal(6, "softmax"), "norm"),
        (gluoncv(6, 3), "bn"),
        (NLBlockND(6, 2, "concatenate"), "W_z.1"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_the_last_normalisation_of_each_code_is_found(block: NonLocalBlock, norm: str) -> None:
    assert last_norm(block) is block.get_submodule(norm)


@pytest.mark.slow
def test_nothing_foreign_is_imported_before_it_is_in_use() -> None:
    """A network of torch's and this project's modules needs neither timm nor torchvision."""
    program = """
import sys
import nlviz.families
from torch import nn
from nlviz.networks.block import NonLocalBlock
net = nn.Sequential(nn.Conv2d(3, 6, 1), NonLocalBlock(6, dimension=2))
assert nlviz.families.family_of(net).name == "non-local-block"
foreign = {"timm", "torchvision", "streamlit", "transformers"} & set(sys.modules)
assert not foreign, foreign
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_documents_table_is_the_generated_one() -> None:
    document = (ROOT / "docs" / "families.md").read_text("utf-8")
    assert document == renewed(document, family_table())
    for family in FAMILIES:
        assert f"| `{family.name}` |" in document


def test_every_family_says_what_the_table_needs() -> None:
    for family in FAMILIES:
        row = family.row
        assert bool(row.networks) == (family.checkpoint is not None), family.name
        assert bool(row.live) == (family.blocks is not None) or family.name == "lite-nl"
        assert row.source and row.recognised_by and row.parity and row.health
        assert all("|" not in str(cell) for cell in vars(row).values())
    assert nlviz.list_models() == sorted(card.name for f in FAMILIES for card in f.cards)
