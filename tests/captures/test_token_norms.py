"""Norms of tokens against those of what layers return, in one pass over all layers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import nlviz
from nlviz.captures.model import Model
from nlviz.captures.token_norms import LayerNorms, layers_of, token_norms
from nlviz.errors import NlvizError
from tests.families.small_transformers import small
from tests.nets import FRAMES, frame_net, noise_clip


def returned(model: Model, layer: str, clip: nlviz.Clip) -> torch.Tensor:
    kept = []
    handle = model.net.get_submodule(layer).register_forward_hook(
        lambda module, args, output: kept.append(output[0] if isinstance(output, tuple) else output)
    )
    model.capture(clip)
    handle.remove()
    return kept[0].detach()


def test_norms_are_those_of_the_tokens_that_leave_each_layer() -> None:
    model, clip = Model(small("dinov2-registers")), noise_clip(3, 40, 56)
    found = nlviz.token_norms(model, clip)
    assert list(found) == ["encoder.layer.0", "encoder.layer.1"] == layers_of(model)
    for layer, of in found.items():
        x = returned(model, layer, clip)  # (frames, class + registers + patches, channels)
        t, h, w = of.grid.shape
        placed = x[:, 5:].norm(dim=-1).reshape(t, h, w)
        torch.testing.assert_close(of.norms, placed)
        torch.testing.assert_close(of.apart.reshape(3, 5), x[:, :5].norm(dim=-1))
        assert of.names[:3] == ("cls", "registers.0", "registers.1")


def test_layers_of_one_kind_are_followed_once_and_lie_where_features_do() -> None:
    model, clip = Model(small("timesformer")), noise_clip(3, 40, 56)
    found = token_norms(model, clip)
    for layer in found:
        features = nlviz.features(model, clip, layer)
        assert found[layer].grid == features.grid
        torch.testing.assert_close(found[layer].norms, features.values.norm(dim=0))


def test_a_convolutions_cells_have_norms_too() -> None:
    model, clip = Model(frame_net(), input_spec=FRAMES), noise_clip(2, 48, 64)
    assert layers_of(model) == ["non_local_layer1"]
    found = token_norms(model, clip, layers=["stem", "layer1"])
    for layer in ("stem", "layer1"):
        features = nlviz.features(model, clip, layer)
        torch.testing.assert_close(found[layer].norms, features.values.norm(dim=0))
    heard: list[float] = []
    token_norms(model, clip, progress=lambda _, share: heard.append(share))
    assert heard == sorted(heard) and heard[-1] < 1
    assert not model.net.stem._forward_hooks


def test_layers_that_have_no_tokens_in_the_picture_are_told() -> None:
    model, clip = Model(small("siglip")), noise_clip(1, 40, 56)
    found = token_norms(model, clip)
    assert list(found.refused) == ["head.attention"]
    with pytest.raises(NlvizError, match="no features of places"):
        found["head.attention"]
    with pytest.raises(NlvizError, match=r"did you mean 'encoder.layers.1'"):
        found["encoder.layers.11"]
    with pytest.raises(NlvizError, match="no layer is called"):
        token_norms(model, clip, layers=["gone"])
    with pytest.raises(NlvizError, match="laid on a clip"):
        token_norms(nlviz.load_model("transformer.copy"), nlviz.read_text("a b c"))


def test_a_histogram_counts_each_token_once_and_the_longest_is_told() -> None:
    norms = torch.full((2, 3, 4), 2.0)
    norms[1, 2, 3] = 50.0
    of = LayerNorms("blocks.3", nlviz.TokenGrid((2, 3, 4), (1, 8, 8)), norms, torch.zeros(0))
    edges, counts = of.histogram(6)
    assert counts.tolist() == [23, 0, 0, 0, 0, 1]
    assert np.allclose(np.diff(np.log(edges)), np.log(25) / 6)
    assert (of.median, of.largest, of.top(1)) == (2.0, 25.0, [(23, 50.0)])
    even = LayerNorms("a", of.grid, torch.ones(2, 3, 4), torch.zeros(0))
    assert even.histogram(3)[1].sum() == 24


def test_a_table_has_a_record_for_each_layer() -> None:
    found = token_norms(Model(small("vit")), noise_clip(1, 40, 56))
    records = found.table()
    assert [r["layer"] for r in records] == list(found)
    assert all(r["ratio"] >= 1 and r["apart"] > 0 for r in records)
    assert "median" in repr(found)
