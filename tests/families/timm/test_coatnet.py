"""CoAtNets of the recipe as nlviz loads them: every layout by name, rows, and the bias apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import nlviz
from nlviz.affinity.bias import OffsetBias
from nlviz.errors import NoNonLocalBlocks, WeightsMismatch
from nlviz.networks.coatnet import LAYOUTS, Layout, coatnet
from nlviz.recipes.coatnet_layouts import write
from nlviz.resources import asset
from nlviz.zoo.checkpoints import load_checkpoint


def picture() -> nlviz.Clip:
    return nlviz.read_clip(asset("photos/digit.png"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_file_makes_the_network_that_wrote_it(layout: Layout, tmp_path: Path) -> None:
    torch.manual_seed(3)
    net = coatnet(layout).half().float().eval()
    path = tmp_path / "net.safetensors"
    write(net, path, layout=layout, seed=3)
    made, report = load_checkpoint(path)
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(made(x), net(x), rtol=0, atol=1e-6)
    assert (report.family, report.complete) == ("timm-coatnet", True)
    stages = [n for n, letter in enumerate(layout.split("-")) if letter == "T"]
    assert [b.name for b in report.blocks] == [f"stages.{n}.blocks.0.attn" for n in stages]
    found = {n: report.blocks[i].inner for i, n in enumerate(stages)}
    assert found == {n: (16, 32, 48, 64)[n] for n in stages}


def test_stages_that_make_no_layout_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = tmp_path / "net.safetensors"
    write(coatnet("C-C-C-T"), path, layout="C-C-C-T", seed=0)
    tensors = load_file(path)
    less = {k: v for k, v in tensors.items() if not k.startswith("stages.2")}
    save_file(less, path, {"layout": "C-C-C-T"})
    with pytest.raises(WeightsMismatch, match="C-C-T"):
        nlviz.load_model(path)


@pytest.mark.parametrize("layout", LAYOUTS[1:])
def test_rows_are_those_of_content_and_bias_as_timm_sums_them(layout: Layout) -> None:
    """Against q, k and the table of offsets, from the modules' own weights."""
    model = nlviz.load_model(f"coatnet.{layout.lower()}", device="cpu")
    capture = model.capture(picture())
    assert model.blocks == tuple(capture.affinities)
    assert model.labels == tuple("0123456789")
    net: Any = model.net
    for name, affinity in capture.affinities.items():
        assert isinstance(affinity, nlviz.EmbeddedAffinity)
        block = net.get_submodule(name)
        kept = []
        handle = block.register_forward_pre_hook(lambda _, args, kept=kept: kept.append(args[0]))
        with torch.no_grad():
            model.logits(picture())
            handle.remove()
            width = 3 * block.dim_head
            q, k, _ = block.qkv(kept[0]).view(block.num_heads, width, -1).chunk(3, dim=1)
            content = q.transpose(1, 2) @ k * block.scale
            bias = block.rel_pos.get_bias()[0]
            wanted = (content + bias).softmax(-1)
        every = torch.arange(affinity.queries.size)
        torch.testing.assert_close(affinity.rows(every), wanted, rtol=0, atol=2e-5)
        assert isinstance(affinity.bias, OffsetBias)
        bare = affinity.logits(every) - content
        torch.testing.assert_close(bare, bias, rtol=0, atol=2e-4)
        assert float(bias.std()) > 0.05  # it has learned something


def test_convolutions_alone_answer_and_say_that_they_have_no_affinity() -> None:
    model = nlviz.load_model("coatnet.c-c-c-c", device="cpu")
    assert model.blocks == ()
    assert repr(model) == "Model(coatnet.c-c-c-c, no block, on cpu)"
    assert int(model.logits(picture()).argmax()) in range(10)
    assert model.labels == tuple("0123456789")
    assert model.report is not None
    (said,) = model.report.warnings
    assert "no query, no key and no affinity" in said
    with pytest.raises(NoNonLocalBlocks, match=r"CoAtNet C-C-C-C.*no query, no key, no affinity"):
        model.capture(picture())
    assert nlviz.features(model, picture(), "stages.1").values.shape == (32, 1, 8, 8)
    with pytest.raises(NoNonLocalBlocks, match=r"convolutions alone.*needs_blocks=False"):
        nlviz.load_model(asset("weights/coatnet.c-c-c-c.safetensors"), device="cpu")
