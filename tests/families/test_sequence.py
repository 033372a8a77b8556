"""MUSE, its twin and the towers as captures show them, against their weights read by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

import nlviz
from nlviz.affinity.causal import Causal
from nlviz.affinity.stored import StoredAffinity
from nlviz.captures.model import Model
from nlviz.errors import NlvizError
from nlviz.networks.sequence.layers import Layer
from nlviz.networks.sequence.non_local_1d import NonLocal1d, TowerSize
from nlviz.networks.sequence.tasks import TaskName
from nlviz.networks.sequence.transduction import Kind, Size, Transduction
from nlviz.recipes.sequences import Plan, built, write

SIZE = Size(channels=15, heads=3, encoder=2, decoder=2, inner=7)


def shaken(net: nn.Module) -> nn.Module:
    """Weights of a network that has learned something: no row is even, no branch zero."""
    torch.manual_seed(5)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.3 * torch.randn_like(p))
    return net.eval()


def model_of(kind: Kind, task: TaskName = "copy") -> Model:
    return Model(shaken(Transduction(task, kind, SIZE if kind == "muse" else SIZE.twin)))


@pytest.fixture(scope="module")
def muse() -> Model:
    return model_of("muse")


def seen(net: Transduction, source: Tensor, given: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """What enters and leaves each layer, from the layers alone."""
    found = {}
    with torch.no_grad():
        x = net.encoded(source)
        from nlviz.networks.sequence.positions import source_places, target_places

        zero = torch.zeros(1)
        y = net.symbols(source) + net.places(source_places(source.shape[1], zero))
        for i, layer in enumerate(net.encoder):
            found[f"encoder.{i}"] = (y, layer(y))
            y = layer(y)
        y = net.symbols(given) + net.places(target_places(given.shape[1], zero))
        for i, layer in enumerate(net.decoder):
            found[f"decoder.{i}"] = (y, layer(y, x))
            y = layer(y, x)
    return found


@pytest.mark.parametrize("kind", ["muse", "transformer"])
def test_rows_are_those_of_the_weights(kind: Kind) -> None:
    """Attention against its formula, bands against matrices that are laid out tap by tap."""
    model = model_of(kind)
    net = cast(Transduction, model.net)
    capture = model.capture(nlviz.read_text("d e a b c a p | d e"))
    assert capture.text is not None
    cut = capture.text.tokens.index("|")
    ids = torch.tensor([net.task.ids(capture.text.tokens)])
    entering = seen(net, ids[:, :cut], ids[:, cut:])
    expected = [
        f"{stack}.{i}.{part}"
        for stack in ("encoder", "decoder")
        for i in range(2)
        for part in (
            "global",
            *(("band3", "band15") if kind == "muse" else ()),
            *(("cross",) if stack == "decoder" else ()),
        )
    ]
    assert list(capture.affinities) == expected
    for name, affinity in capture.affinities.items():
        layer_name, _, part = name.rpartition(".")
        layer = cast(Layer, net.get_submodule(layer_name))
        rows = affinity.dense()
        with torch.no_grad():
            x = layer.norm(entering[layer_name][0])[0]
            own = layer.attention.qkv(x).split(15, -1)
        q, k, v = (t.unflatten(-1, (3, 5)).transpose(0, 1) for t in own)
        if part == "cross":
            torch.testing.assert_close(rows.sum(-1), torch.ones(3, len(capture.text.tokens) - cut))
            continue
        if part == "global":
            logits = q @ k.mT / math.sqrt(5)
            if layer.decoder:
                logits = logits.masked_fill(torch.ones(logits.shape).triu(1) > 0, -torch.inf)
            torch.testing.assert_close(rows, logits.softmax(-1), rtol=1e-4, atol=1e-6)
            continue
        conv = next(c for c in layer.attention.convolutions if part == f"band{c.kernel}")
        wanted = torch.zeros_like(rows)
        taps = conv.taps(x @ layer.attention.qkv.weight[30:].T + layer.attention.qkv.bias[30:])
        for h in range(3):
            for t in range(len(x)):
                kernel = taps[t].detach().reshape(3, conv.kernel)[h].softmax(0)
                for j, weight in enumerate(kernel):
                    key = t + j - (conv.kernel - 1 if layer.decoder else conv.kernel // 2)
                    if 0 <= key < len(x):
                        wanted[h, t, key] = weight
        torch.testing.assert_close(rows, wanted, rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(
            wanted @ v, cast(StoredAffinity, affinity).output, atol=1e-5, rtol=1e-4
        )
        assert not affinity.distributes  # taps beyond the ends are lost


def test_cross_attention_lies_between_two_lines(muse: Model) -> None:
    capture = muse.capture(nlviz.read_text("deabcap | de"))
    cross = capture.affinities["decoder.1.cross"]
    assert capture.text is not None
    behind = capture.text.tokens[7:]
    assert (cross.keys.shape, cross.queries.shape) == ((1, 1, 7), (1, 1, len(behind)))
    assert cross.keys.names == tuple("deabcap")
    assert cross.queries.names == behind
    assert cross.queries.centre(0)[2] == 7.0  # the place of the separator in the line
    net = cast(Transduction, muse.net)
    ids = torch.tensor([net.task.ids(capture.text.tokens)])
    last = seen(net, ids[:, :7], ids[:, 7:])["decoder.1"][0]
    layer = cast(Any, net.decoder[1])
    with torch.no_grad():
        normed = layer.norm(last)
        x = last + layer.attention(normed) + layer.feed(normed)
        q = layer.cross.q(layer.cross_norm(x))[0].unflatten(-1, (3, 5)).transpose(0, 1)
        k = layer.cross.kv(net.encoded(ids[:, :7]))[0, :, :15].unflatten(-1, (3, 5)).transpose(0, 1)
    torch.testing.assert_close(
        cross.dense(), (q @ k.mT / math.sqrt(5)).softmax(-1), rtol=1e-4, atol=1e-6
    )
    row = cross.map(token="|")
    assert row.weights.shape == (1, 1, 7)
    assert float(row.weights.sum()) == pytest.approx(1, abs=1e-5)
    # Queries and keys are made of two lines: what entered is no feature of both.
    assert "decoder.1.cross" not in capture.features


def test_a_target_reaches_what_is_written(muse: Model) -> None:
    capture = muse.capture(nlviz.read_text("deabcapdeabcap"))
    of_all = capture.affinities["decoder.0.global"]
    assert of_all.support == Causal()
    assert not bool((of_all.dense() * torch.ones(of_all.dense().shape).triu(1)).any())
    band = capture.affinities["decoder.0.band3"]
    assert band.support == Causal(nearest=3)
    mask = band.map(token="5:" + band.queries.names[5]).reachable
    assert mask is not None
    assert mask.ravel().nonzero()[0].tolist() == [3, 4, 5]
    wide = capture.affinities["encoder.0.band15"].map(token=2).reachable
    assert wide is not None
    assert wide.ravel().nonzero()[0].tolist() == list(range(10))


def test_branches_are_what_each_adds(muse: Model) -> None:
    capture = muse.capture(nlviz.read_text("deabcap"))
    net = cast(Transduction, muse.net)
    ids = torch.tensor([net.task.ids("deabcap")])
    entering = seen(net, ids, torch.tensor([[16]]))["encoder.1"][0]
    layer = cast(Layer, net.encoder[1])
    with torch.no_grad():
        x = layer.norm(entering)
        q, k, v = (
            t.unflatten(-1, (3, 5)).transpose(1, 2) for t in layer.attention.qkv(x).split(15, -1)
        )
        y = ((q @ k.mT / math.sqrt(5)).softmax(-1) @ v).transpose(1, 2).flatten(2)
        alpha = layer.attention.alpha.softmax(0)
        first, second = layer.attention.convolutions
        mix = (alpha[0] * first(v) + alpha[1] * second(v)).transpose(1, 2).flatten(2)
        added = (layer.attention.w_1(y), layer.attention.w_2(mix), layer.feed(x))
    for kind in ("global", "band3", "band15"):
        branches = capture.affinities[f"encoder.1.{kind}"].branches
        assert branches is not None
        assert branches.names == ("W_1 attention", "W_2 convolutions", "feed-forward")
        for name, own in zip(branches.names, added, strict=True):
            assert branches.at(4)[name] == pytest.approx(float(own[0, 4].norm()), rel=1e-4)
        assert list(branches.mixing.values()) == pytest.approx(alpha.tolist())
        assert sum(branches.shares(4).values()) == pytest.approx(1)
        assert f"{alpha[1]:.2f} of band15" in branches.sentence(4)
        assert branches.sentence() in capture.affinities[f"encoder.1.{kind}"].note
    plain = model_of("transformer").capture(nlviz.read_text("deab")).affinities["encoder.0.global"]
    assert plain.branches is None  # they run one behind the other


def test_what_was_written_is_read_again_as_it_is(muse: Model) -> None:
    """A capture's own text gives the same capture: health and attribution run it again."""
    for text, task, kind in (
        ("d e a b", "copy", "muse"),
        ("d e a b | d e", "copy", "transformer"),
        ("a3b7c1|b a", "recall", "muse"),
        ("a3b7c1", "recall", "transformer"),
    ):
        model = model_of(kind, task)  # type: ignore[arg-type]
        first = model.capture(nlviz.read_text(text))
        again = model.capture(first.clip)
        assert first.text is not None
        assert again.text is not None
        assert again.text.tokens == first.text.tokens
        assert again.text.text == first.text.text
        for name, affinity in first.affinities.items():
            torch.testing.assert_close(affinity.dense(), again.affinities[name].dense())
    towers = Model(shaken(NonLocal1d("copy")))
    first = towers.capture(nlviz.read_text("d e a b"))
    assert first.text is not None
    assert first.text.text == "d e a b | . . . ."
    assert towers.capture(first.clip).text.text == first.text.text  # type: ignore[union-attr]


def test_spans_are_those_of_the_text_that_is_shown(muse: Model) -> None:
    text = muse.capture(nlviz.read_text(" d  ea\nb | d e")).text
    assert text is not None
    assert [text.text[a:b] for a, b in text.spans] == list(text.tokens)
    assert "".join(text.tokens).startswith("deab|de")


def test_recall_is_asked_for_letters() -> None:
    model = model_of("muse", "recall")
    text = model.capture(nlviz.read_text("a 3 b 7 c 1 | c a")).text
    assert text is not None
    assert text.tokens[:7] == ("a", "3", "b", "7", "c", "1", "|")
    assert text.tokens[7::2] == ("c", "a")
    note = model.capture(nlviz.read_text("a3b7|z")).notes[0]
    assert "z stands nowhere in the source" in note


@pytest.mark.parametrize(
    ("task", "text", "said"),
    [
        ("copy", "d e z q", "knows the symbols a b c d .* got 'z', 'q'"),
        ("copy", "| a", "1 to 256 symbols before the separator, this one has 0"),
        ("copy", "a" * 257, "1 to 256 symbols before the separator, this one has 257"),
        ("copy", "a | b | c", "one separator"),
        ("copy", "a | bbbbbbbbbb", "9 here; got 10"),
        ("recall", "a3b", "pairs of a letter and a digit"),
        ("recall", "a3b7|7", "letters that are asked for"),
    ],
)
def test_other_texts_are_refused_with_the_cure(task: TaskName, text: str, said: str) -> None:
    with pytest.raises(NlvizError, match=said):
        model_of("muse", task).capture(nlviz.read_text(text))


def test_pictures_are_refused() -> None:
    import numpy as np

    clip = nlviz.Clip.from_frames(np.zeros((1, 8, 9, 3), np.uint8))
    with pytest.raises(NlvizError, match="read_text"):
        model_of("muse").capture(clip)


def test_without_an_attention_its_layer_adds_the_bias_alone(muse: Model) -> None:
    net = cast(Transduction, muse.net)
    source, given = torch.tensor([[3, 4, 0, 1, 9]]), torch.tensor([[16, 3, 4]])
    with torch.no_grad():
        before = net.logits(source, given)
    with torch.no_grad(), muse.adapter.bypass(net, "encoder.1.band3"):
        without = net.logits(source, given)
    conv = cast(Any, net.encoder[1]).attention.convolutions[0]
    assert float((without - before).abs().max()) > 1e-4
    with torch.no_grad():
        torch.testing.assert_close(net.logits(source, given), before)
    with torch.no_grad(), muse.adapter.bypass(net, "encoder.1.band3"):
        assert not conv(torch.ones(1, 3, 4, 5)).any()
    branch = muse.adapter.branch(net, "decoder.0.cross")
    assert branch is not None
    assert branch.added is cast(Any, net.decoder[0]).cross


def test_the_towers_show_their_four_functions_side_by_side() -> None:
    net = cast(NonLocal1d, shaken(NonLocal1d("reverse", TowerSize(13, 6, 2, 5))))
    capture = Model(net).capture(nlviz.read_text("d e a b c"))
    assert list(capture.affinities) == [
        f"{f}.{i}"
        for f in ("gaussian", "embedded_gaussian", "dot_product", "concatenation")
        for i in range(2)
    ]
    ids = torch.tensor([[*net.task.ids("deabc|"), *[net.task.blank] * 5]])
    seen: dict[str, Tensor] = {}
    for f, tower in net.towers.items():
        cast(Any, tower).blocks[0].register_forward_pre_hook(
            lambda module, args, f=f: seen.update({f: args[0]})
        )
    with torch.no_grad():
        net.by_pairwise(ids)
        for f, x in seen.items():
            affinity = capture.affinities[f"{f}.0"]
            assert affinity.queries.names == tuple("deabc|.....")
            theta, phi, _ = (t[0, 0] for t in cast(Any, net.towers[f]).blocks[0].embed(x))
            scale = (13 if f == "gaussian" else 6) ** -0.5
            if f == "concatenation":
                wanted = (theta + phi.T).relu() / 11
            elif f == "dot_product":
                wanted = scale * theta @ phi.T / 11
            else:
                wanted = (scale * theta @ phi.T).softmax(-1)
            torch.testing.assert_close(affinity.dense()[0], wanted, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(capture.features[f"{f}.0"][:, 0, 0], x[0])
    assert sum("The tower" in note for note in capture.notes) == 4


@pytest.mark.parametrize("kind", ["muse", "transformer", "non-local-1d"])
def test_a_file_tells_its_task_and_size(kind: Any, tmp_path: Path) -> None:
    net = built(kind, "sort")
    path = tmp_path / "any.safetensors"
    write(net, path, kind=kind, seed=4, plan=Plan())
    report = nlviz.inspect_weights(path)
    assert report.complete
    assert report.flags["task"].value == "sort"
    assert report.flags["task"].origin == "config"
    model = nlviz.load_model(path)
    assert model.inputs == ("text",)
    assert tuple(block.name for block in report.blocks) == model.blocks
    own = dict(model.net.state_dict())
    for name, value in net.state_dict().items():
        torch.testing.assert_close(own[name], value, rtol=1e-3, atol=1e-3)
    other = nlviz.load_model(path, task="copy")
    assert cast(Any, other.net).task.name == "copy"


def test_a_word_of_a_target_is_no_key_of_the_source(muse: Model) -> None:
    """The nearest key is another word: it is neither called the query's own nor left out."""
    capture = muse.capture(nlviz.read_text("deabcap"))
    row = capture.affinities["decoder.1.cross"].map(token="|")
    assert not row.has_own
    assert nlviz.words.own_line(row) is None
    listed = nlviz.words.top_keys(capture.clip, row, own=False)
    assert len(listed) == 7
    assert listed[0]["weight"] == pytest.approx(float(row.weights.max()))
    own = capture.affinities["encoder.0.global"].map(token=2)
    assert own.has_own
    assert len(nlviz.words.top_keys(capture.clip, own, own=False)) == 6


def test_a_saved_capture_keeps_its_branches(muse: Model, tmp_path: Path) -> None:
    capture = muse.capture(nlviz.read_text("deabcap"))
    capture.save(tmp_path / "muse.safetensors")
    again = nlviz.read_capture(tmp_path / "muse.safetensors")
    for name, affinity in capture.affinities.items():
        kept = again.affinities[name]
        torch.testing.assert_close(kept.dense(), affinity.dense())
        assert kept.queries == affinity.queries
        assert (kept.branches is None) == (affinity.branches is None)
        if kept.branches is not None and affinity.branches is not None:
            assert kept.branches.sentence(3) == affinity.branches.sentence(3)


def test_a_network_of_words_is_verified_on_its_example() -> None:
    found = nlviz.verify("muse.recall")
    assert found.passed
    assert found.digest_fits


def test_branches_are_told_beside_the_row(muse: Model) -> None:
    capture = muse.capture(nlviz.read_text("deabcap"))
    affinity = capture.affinities["encoder.0.band3"]
    lines = nlviz.words.branch_lines(affinity, affinity.map(token=4))
    assert affinity.branches is not None
    assert [float(line.value) for line in lines[:3]] == pytest.approx(
        list(affinity.branches.at(4).values()), rel=0.01
    )
    assert [line.label for line in lines[3:]] == [
        "of the mixed convolutions is band3",
        "of the mixed convolutions is band15",
    ]
    assert not nlviz.words.branch_lines(affinity, affinity.map(token=4, direction="to"))


def test_a_word_is_asked_of_the_last_attention_whose_line_holds_it(muse: Model) -> None:
    from nlviz.cli.queries import Asked
    from nlviz.views.display import Display

    capture = muse.capture(nlviz.read_text("deabcap"))
    for query, block in (("2", "encoder.1.global"), ("7", "decoder.1.cross")):
        asked = Asked.parse(query, None, words=True)
        assert asked.last_block(capture, Display()) == block
    assert Asked.parse(None, None, words=True).last_block(capture, Display()) == "decoder.1.cross"
    to = Display(direction="to")  # a word of the source is a key of the decoder
    assert Asked.parse("2", None, words=True).last_block(capture, to) == "decoder.1.cross"
