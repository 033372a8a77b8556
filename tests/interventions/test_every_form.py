"""Rows of forms that are no single product, and of several runs, are changed as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import nlviz
from nlviz.affinity.asked import rows_at
from nlviz.captures.model import Model
from nlviz.errors import NlvizError
from nlviz.families.torchvision.detection import DetectionAdapter
from nlviz.interventions import (
    BypassHeads,
    CutEdges,
    CutFrames,
    GivenRows,
    Rerun,
    Temperature,
    values_of,
)
from nlviz.networks.sequence.transduction import Size, Transduction
from tests.captures import test_operators, test_operators_of_networks, test_runs, test_sharing
from tests.captures.operator_forms import LOCAL
from tests.captures.self_attention_blocks import CrissCross, ExpectationMaximisation
from tests.captures.test_self_attention_blocks import SPEC, made, net_of
from tests.captures.test_walked_attention import Walks, clip, vit
from tests.families.conformance import shaken
from tests.families.small_video_language import small_video_language
from tests.nets import awake, frame_net, noise_clip


def cut(
    capture: nlviz.Capture, block: str, rerun: Rerun | None = None
) -> tuple[int, Tensor, nlviz.interventions.Outcome]:
    """Cut two strong edges of a query in the middle, and check rows and what they gather."""
    affinity = capture.affinities[block]
    query = affinity.queries.prefix + affinity.queries.size // 2
    shown = rows_at(affinity, [query]).float()
    keys = torch.zeros(shown.shape[-1], dtype=torch.bool)
    keys[shown[:, 0].abs().mean(0).topk(2).indices] = True
    found = (rerun or Rerun(capture)).run(CutEdges(block, (query,), keys))
    edited = found.edited[block]
    assert edited.numbers.tolist() == [query]
    kept = shown.masked_fill(keys, 0.0)
    if affinity.pairwise.softmax:
        kept = kept / kept.sum(-1, keepdim=True) * shown.sum(-1, keepdim=True)
    torch.testing.assert_close(edited.rows_before, shown, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(edited.rows, kept, atol=1e-5, rtol=1e-4)
    y = edited.rows @ values_of(capture, block)[block]
    torch.testing.assert_close(edited.y, y, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(edited.y, edited.y_before, atol=1e-4)
    return query, keys, found


SHARED = [
    test_sharing.three_lines,
    test_sharing.own_projections,
    test_sharing.beside_global_tokens,
    test_sharing.a_third_logit,
    test_sharing.values_beside_each_other,
]


@pytest.mark.parametrize("attend", SHARED, ids=lambda attend: attend.__name__)
def test_products_that_share_a_softmax_are_shared_out_over_all_parts(attend: Any) -> None:
    torch.manual_seed(0)
    model = Model(test_sharing.Net(attend).eval(), input_spec=test_sharing.SPEC)
    capture = model.capture(test_sharing.CLIP)
    _, _, found = cut(capture, "block")
    assert not torch.equal(found.logits, capture.logits)  # type: ignore[arg-type]


def test_values_side_by_side_are_cut_as_by_a_mask_before_the_softmax() -> None:
    """The network itself, with logits of one query masked, gives the same logits."""
    masks: list[Tensor] = []

    def attend(block: test_sharing.SelfAttention, x: Tensor) -> Tensor:
        q, k, v = (block.of(n, x).flatten(2, 4) for n in (0, 1, 3))
        far_k, far_v = (
            block.layers[n](block.tokens)
            .unflatten(-1, (test_sharing.HEADS, test_sharing.D))
            .transpose(1, 2)
            for n in (1, 3)
        )
        logits = torch.cat([q @ far_k.mT, q @ k.mT], -1)
        if masks:
            logits = logits.masked_fill(masks[0], -torch.inf)
        y = logits.softmax(-1) @ torch.cat([far_v, v], 2)
        return y.unflatten(2, (test_sharing.T, test_sharing.H, test_sharing.W))

    torch.manual_seed(0)
    model = Model(test_sharing.Net(attend).eval(), input_spec=test_sharing.SPEC)
    capture = model.capture(test_sharing.CLIP)
    query, keys, found = cut(capture, "block")
    mask = torch.zeros(test_sharing.N, test_sharing.N + 2, dtype=torch.bool)
    mask[query] = keys
    masks.append(mask)
    with torch.no_grad():
        expected = model.net(model.prepared(capture.clip).tensor)[0]
    torch.testing.assert_close(found.logits, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", [CrissCross, ExpectationMaximisation])
def test_one_product_that_is_used_twice_is_two_blocks(kind: Callable[[], nn.Module]) -> None:
    net = net_of(made(kind))  # type: ignore[arg-type]
    capture = Model(net, input_spec=SPEC).capture(noise_clip(3, 20, 28))
    for block in capture.affinities:
        cut(capture, block)


@pytest.mark.parametrize("name", ["involution", "einsum_of_softmax", "local_attention_by_sums"])
def test_an_operator_loses_the_terms(name: str) -> None:
    net = test_operators.net_of(LOCAL[name], residual=True)
    capture = test_operators.model_of(net).capture(test_operators.CLIP)
    cut(capture, "block")


def test_windows_that_overlap_are_cut_in_each_and_not_replaced() -> None:
    volo = pytest.importorskip("timm.models.volo")
    own = test_operators_of_networks
    block = volo.OutlookAttention(own.C, own.HEADS, kernel_size=3, padding=1, stride=1)
    capture, _ = own.captured(block)
    cut(capture, "block")
    rows = torch.zeros(1, own.T * own.H * own.W)
    with pytest.raises(NlvizError, match="windows that overlap"):
        Rerun(capture).run(GivenRows("block", (3,), rows))


@pytest.mark.parametrize("frames", [1, 2])
def test_runs_on_parts_of_a_clip_are_one_block(frames: int) -> None:
    """Also where the last part is shorter; the network that ran once gives the same logits."""
    plain, walks = (Model(net).capture(clip(3)) for net in (vit(), Walks(vit(), frames).eval()))
    _, _, whole = cut(plain, "blocks.1")
    _, _, parts = cut(walks, "net.blocks.1")
    torch.testing.assert_close(parts.logits, whole.logits, atol=1e-6, rtol=1e-5)
    capture = Model(test_runs.Walker(), input_spec=test_runs.SPEC).capture(test_runs.CLIP)
    one = Model(test_runs.Net(), input_spec=test_runs.SPEC).capture(test_runs.CLIP)
    expected, got = (cut(c, "blocks.0")[2].logits for c in (one, capture))
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-5)


def test_a_block_that_runs_twice_is_cut_in_the_run_that_was_meant() -> None:
    capture = Model(test_runs.Twice(), input_spec=test_runs.SPEC).capture(test_runs.CLIP)
    first, second = (cut(capture, name)[2].logits for name in ("blocks.0", "blocks.0#2"))
    assert not torch.equal(first, second)  # type: ignore[arg-type]


def test_taps_of_dynamic_convolutions_are_cut() -> None:
    torch.manual_seed(0)
    net = shaken(Transduction("copy", "muse", Size(12, 3, 1, 1, 7)))
    capture = Model(net.eval()).capture(nlviz.read_text("d e a b c a p f n h m"))
    for block in capture.affinities:
        cut(capture, block)


def test_a_word_that_was_chosen_is_cut_as_among_all() -> None:
    net, processor = small_video_language("qwen2.5-vl")
    asked = {"text": "What is the dog doing?", "processor": processor}
    film = noise_clip(4, 48, 72)
    whole = nlviz.capture(net, film, **asked)
    few = nlviz.capture(net, film, queries=["What", "dog"], **asked)
    block = "model.language_model.layers.1.self_attn"
    word = whole.text.token_of("dog")  # type: ignore[union-attr]
    keys = torch.zeros(whole.affinities[block].keys.size + whole.affinities[block].keys.prefix)
    keys[:9] = 1
    found = [
        Rerun(capture).run(CutEdges(block, (n,), keys.bool()))
        for capture, n in ((whole, word), (few, 1), (few, 2))  # the cell stands for the last word
    ]
    assert [f.edited[block].numbers.tolist() for f in found] == [[word], [1], [2]]
    for one in found[1:]:
        torch.testing.assert_close(one.edited[block].y, found[0].edited[block].y)
        assert torch.equal(one.logits, found[0].logits)  # type: ignore[arg-type]
    assert found[0].edited[block].rows[..., :9].abs().max() == 0


@pytest.mark.slow
def test_one_object_is_cut_alone_and_padding_has_numbers_of_its_own() -> None:
    from nlviz.networks.detection import keypoint_rcnn_nl

    torch.manual_seed(1)
    small = {"min_size": 96, "max_size": 170, "box_score_thresh": 0.0, "rpn_post_nms_top_n_test": 9}
    net = awake(keypoint_rcnn_nl(weights="random", box_detections_per_img=2, **small))
    model = Model(net.eval(), adapter=DetectionAdapter(least_score=0.0))
    capture = model.capture(noise_clip(2, 75, 101))
    names = [n for n in capture.affinities if n.startswith("keypoint_head.3")]
    assert len(names) > 1
    cut(capture, names[-1])
    backbone = next(n for n in capture.affinities if n.startswith("backbone"))
    assert capture.affinities[backbone].queries.prefix
    cut(capture, backbone)
    heads = (BypassHeads(names[0], (0,)), BypassHeads(backbone, (0,)))
    with pytest.raises(NlvizError, match="not both"):
        Rerun(capture).run(*heads)


def test_changes_of_one_row_follow_on_each_other() -> None:
    """Sharper, then cut: the second change sees what the first one made."""
    capture = Model(vit()).capture(clip(1))
    affinity = capture.affinities["blocks.0"]
    query = affinity.queries.prefix + 4
    keys = torch.zeros(affinity.keys.size + affinity.keys.prefix, dtype=torch.bool)
    keys[3:7] = True
    changes = (Temperature("blocks.0", 0.5), CutEdges("blocks.0", (query,), keys, heads=(1,)))
    edited = Rerun(capture).run(*changes).edited["blocks.0"]
    row = rows_at(affinity, [query])[:, 0]
    sharp = row**2 / (row**2).sum(-1, keepdim=True)
    left = sharp[1].masked_fill(keys, 0.0)
    sharp[1] = left / left.sum()
    at = edited.numbers.tolist().index(query)
    torch.testing.assert_close(edited.rows[:, at], sharp, atol=1e-6, rtol=1e-4)
    values = values_of(capture, "blocks.0")["blocks.0"]
    torch.testing.assert_close(edited.y, edited.rows @ values, atol=1e-5, rtol=1e-4)


def test_a_network_that_changed_since_is_not_taken_for_the_one_of_the_capture() -> None:
    capture = Model(vit()).capture(clip(1))
    net: Any = capture.model.net
    with torch.no_grad():
        net.head.weight.mul_(1.5)
    prefix = capture.affinities["blocks.0"].keys.prefix
    none = torch.zeros(capture.affinities["blocks.0"].keys.size + prefix, dtype=torch.bool)
    with pytest.raises(NlvizError, match="the network has changed since"):
        Rerun(capture).run(CutEdges("blocks.0", (2,), none))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_half_precision_is_changed_in_single_and_rounded_once(kind: torch.dtype) -> None:
    torch.manual_seed(0)
    capture = Model(vit().to(kind)).capture(clip(1))
    affinity = capture.affinities["blocks.0"]
    query = affinity.queries.prefix + 4
    keys = torch.zeros(affinity.keys.size + affinity.keys.prefix, dtype=torch.bool)
    keys[3:7] = True
    with Rerun(capture) as rerun:
        assert torch.equal(rerun.run().logits, capture.logits)  # type: ignore[arg-type]
        edited = rerun.run(CutEdges("blocks.0", (query,), keys)).edited["blocks.0"]
    assert not edited.rows[..., keys].any()
    torch.testing.assert_close(edited.rows.sum(-1), torch.ones(affinity.heads, 1))
    y = edited.rows @ values_of(capture, "blocks.0")["blocks.0"]
    assert (edited.y - y).abs().max() <= 4 * torch.finfo(kind).eps * y.abs().max()


@pytest.mark.parametrize("attend", SHARED, ids=lambda attend: attend.__name__)
def test_what_a_capture_shows_after_changes_are_the_rows_that_ran(attend: Any) -> None:
    """Nothing that is computed to change rows is taken for a product of the network."""
    torch.manual_seed(0)
    model = Model(test_sharing.Net(attend).eval(), input_spec=test_sharing.SPEC)
    capture = model.capture(test_sharing.CLIP)
    for change in (CutFrames("block"), Temperature("block", 2.0), BypassHeads("block", (1,))):
        if isinstance(change, Temperature) and not capture.affinities["block"].distributes:
            continue
        after = nlviz.intervene(model, capture.clip, change, before=capture).after
        ran = Rerun(capture).run(change)
        assert list(after.affinities) == list(capture.affinities)
        assert not after.refused
        assert torch.equal(after.logits, ran.logits)  # type: ignore[arg-type]
        edited = ran.edited["block"]
        shown = rows_at(after.affinities["block"], edited.numbers)
        torch.testing.assert_close(shown.float(), edited.rows, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("make", [vit, frame_net])
def test_under_autocast_rows_are_changed_in_the_types_that_they_have(make: Any) -> None:
    film = clip(2) if make is vit else noise_clip(2, 32, 48)
    capture = Model(make(), autocast=torch.bfloat16).capture(film)
    block = next(iter(capture.affinities))
    affinity = capture.affinities[block]
    query = affinity.queries.prefix + 4
    keys = torch.zeros(affinity.keys.size + affinity.keys.prefix, dtype=torch.bool)
    keys[3:7] = True
    with Rerun(capture) as rerun:
        assert torch.equal(rerun.run().logits, capture.logits)  # type: ignore[arg-type]
        edited = rerun.run(CutEdges(block, (query,), keys)).edited[block]
    shown = rows_at(affinity, [query]).float()
    torch.testing.assert_close(edited.rows_before, shown, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(edited.rows.sum(-1), shown.sum(-1))
