"""What position does: planted affinities whose rows are of position, of content, or the same."""

from __future__ import annotations

import math
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
import torch
from torch import Tensor

import nlviz
from nlviz.affinity.bias import OffsetBias
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.mean_of import MeanPosition, mean_of, same_tokens
from nlviz.affinity.pairwise import Pairwise, PairwiseName
from nlviz.affinity.support import Support
from nlviz.analysis.mean_position import explained, in_common, known_position
from nlviz.captures.capture import Affinities, Capture
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.clips.others import other_clips
from nlviz.clips.text import read_text
from nlviz.errors import NlvizError
from tests.families.small_transformers import small
from tests.nets import FRAMES, frame_net, noise_clip

HEADS, D = 2, 9
GRID = TokenGrid((2, 4, 6), (1, 8, 8), (0, 3.5, 3.5))


def noise(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def planted(
    what: str, clip: int, *, grid: TokenGrid = GRID, name: PairwiseName = "embedded_gaussian"
) -> EmbeddedAffinity:
    """Return an affinity on one of several clips, of content, of position, or all the same."""
    n = grid.size + grid.prefix
    theta, phi = noise(HEADS, n, D, seed=2 * clip), noise(HEADS, n, D, seed=2 * clip + 1)
    bias = None
    if what != "content":
        theta, phi = torch.zeros_like(theta), torch.zeros_like(phi)
    if what == "position":
        bias = OffsetBias(2 * noise(HEADS, 3, 7, 11, seed=1))
    if what == "same":
        theta[..., 0], phi[..., 0] = 1.0, 2 * noise(HEADS, n, seed=3)
    return EmbeddedAffinity("block", Pairwise(name), theta, phi, grid, grid, bias=bias)


def share(
    capture: Capture, what: str, query: int | str | None = None, **given: object
) -> nlviz.PositionShare:
    own = planted(what, 99, **given)  # type: ignore[arg-type]
    of = [planted(what, c, **given) for c in range(12)]  # type: ignore[arg-type]
    mean = MeanPosition("block", mean_of(of), len(of))
    return nlviz.position_only(captured(capture, own), "block", query, mean=mean)


def captured(capture: Capture, one: nlviz.Affinity) -> Capture:
    return replace(capture, affinities=Affinities({"block": one}), receipts=MappingProxyType({}))


def test_rows_of_offsets_alone_follow_from_position(capture: Capture) -> None:
    found = share(capture, "position")
    assert found.common == pytest.approx(1, abs=1e-5)
    assert found.explained == pytest.approx(1, abs=1e-5)
    assert found.common_anywhere is not None
    assert found.common_anywhere < 0.6
    assert found.explained_anywhere is not None
    assert found.explained_anywhere < 0.2
    assert found.queries == GRID.size


def test_rows_of_content_alone_do_not_follow_from_position(capture: Capture) -> None:
    found = share(capture, "content")
    assert found.explained < 0.1
    assert found.common < 0.5


def test_what_is_the_same_at_every_position_is_told_from_position(capture: Capture) -> None:
    found = share(capture, "same")
    assert found.common == pytest.approx(1, abs=1e-5)
    assert found.common_anywhere == pytest.approx(1, abs=1e-5)
    assert found.unary == pytest.approx(1, abs=1e-5)


def test_figures_are_those_of_their_definitions(capture: Capture) -> None:
    own, of = planted("content", 99), [planted("content", c) for c in range(5)]
    mean = MeanPosition("block", mean_of(of), 5)
    at = GRID.nearest(frame=1, y=20, x=28)
    found = nlviz.position_only(captured(capture, own), "block", (1, 20, 28), mean=mean, head=1)
    a = own.dense()[1, at].double().numpy()
    m = np.mean([one.dense()[1].double().numpy() for one in of], 0)
    every = m.mean(0)
    assert found.own == pytest.approx(a[at], abs=1e-6)

    def rest(x: np.ndarray) -> np.ndarray:
        kept = np.delete(x, at)
        return kept / kept.sum()

    assert found.common == pytest.approx(np.minimum(rest(a), rest(m[at])).sum(), abs=1e-6)
    r = np.corrcoef(np.delete(a, at), np.delete(m[at], at))[0, 1]
    assert found.explained == pytest.approx(max(r, 0) ** 2, abs=1e-6)
    assert found.common_anywhere == pytest.approx(np.minimum(rest(a), rest(every)).sum(), abs=1e-6)
    even = np.full(len(a) - 1, 1 / (len(a) - 1))
    assert found.common_uniform == pytest.approx(np.minimum(rest(a), even).sum(), abs=1e-6)
    assert found.of_heads[0][:2] == pytest.approx((found.common, found.explained))
    assert (found.queries, found.clips) == (1, 5)


def test_signed_rows_share_where_signs_agree(capture: Capture) -> None:
    one = torch.tensor([[[1.0, -3.0, 0.0]]])
    assert float(in_common(one, one)) == pytest.approx(1)
    assert float(in_common(one, -one)) == 0
    found = share(capture, "content", name="dot_product")
    assert found.unary is None
    assert 0 <= found.common < 0.5


def test_an_even_row_has_no_variance_to_account_for() -> None:
    even, every = torch.full((1, 1, 4), 0.25), torch.ones(1, 4, dtype=torch.bool)
    assert float(explained(even, torch.rand(1, 1, 4), every)) == 0


def test_the_class_token_is_a_position_like_others(capture: Capture) -> None:
    grid = replace(GRID, prefix=1)
    of = [replace(planted("content", c, grid=grid), token_names=("cls",)) for c in (99, 1, 2, 3, 4)]
    mean = MeanPosition("block", mean_of(of[1:]), 4)
    found = nlviz.position_only(captured(capture, of[0]), "block", "cls", mean=mean)
    row = of[0].token_rows()[:, 0]
    assert found.own == pytest.approx(float(row[:, 0].mean()), abs=1e-6)
    assert found.unary is None
    assert 0 < found.common < 1


def test_frames_that_see_themselves_are_compared_among_themselves(capture: Capture) -> None:
    of = [replace(planted("position", c), support=Support(1)) for c in range(5)]
    mean = MeanPosition("block", mean_of(of[1:]), 4)
    found = nlviz.position_only(captured(capture, of[0]), "block", mean=mean)
    assert found.common == pytest.approx(1, abs=1e-5)
    assert found.common_anywhere is not None
    assert 0.2 < found.common_anywhere < 0.7


def test_mean_rows_are_the_means_of_rows_of_all_clips() -> None:
    model = Model(frame_net(), input_spec=FRAMES)
    clips = [noise_clip(3, 48, 64, seed=s) for s in range(5)]
    capture = model.capture(clips[0])
    heard: list[float] = []
    mean = nlviz.mean_position(
        model, capture, "layer1", clips=clips[1:], progress=lambda _, share: heard.append(share)
    )
    each = [model.capture(clip).affinities["layer1"].dense() for clip in clips[1:]]
    torch.testing.assert_close(mean.rows.dense(), torch.stack(each).mean(0))
    assert mean.clips == 4
    assert heard == sorted(heard)
    found = nlviz.position_only(capture, "layer1", mean=mean)
    assert known_position(capture, "layer1") is None
    again = nlviz.position_only(capture, "layer1")
    assert (found.clips, again.clips) == (4, 16)
    remembered = known_position(capture, "layer1")
    assert remembered is not None
    assert nlviz.position_only(capture, "layer1", mean=remembered) == again
    assert again.note == "Mean rows are over 16 parts of the bundled films and photos."


def test_clips_with_other_tokens_are_no_part_of_the_mean() -> None:
    model = Model(frame_net(), input_spec=FRAMES)
    capture = model.capture(noise_clip(3, 48, 64))
    clips = [noise_clip(3, 48, 64), *(noise_clip(2, 48, 64, seed=s) for s in range(4))]
    with pytest.raises(NlvizError, match="of 5 only 1 are such"):
        nlviz.mean_position(model, capture, "layer1", clips=clips)
    read = replace(capture, source=None)
    with pytest.raises(NlvizError, match="model="):
        nlviz.position_only(read, "layer1")


def test_a_transformer_of_clips_has_positions() -> None:
    model = Model(small("timesformer"))
    capture = model.capture(noise_clip(3, 40, 56))
    block = list(capture.affinities)[-1]
    found = nlviz.position_only(capture, block, model=model)
    assert 0 <= found.explained <= 1
    assert len(found.of_heads) == 3
    assert math.isfinite(found.common)


def test_a_text_keeps_its_length_when_its_words_change_places() -> None:
    model = nlviz.load_model("transformer.copy")
    capture = model.capture(read_text("d e a b d a c k p g"))
    of = [nlviz.position_only(capture, block, model=model) for block in capture.affinities]
    assert all(one.note == "Mean rows are over 16 texts drawn from its words." for one in of)
    # Its decoder copies from the place that it writes to: the position says all there is to say.
    cross = list(capture.affinities)[-1]
    found = nlviz.position_only(capture, cross, model=model)
    assert found.own is None
    assert found.explained > 0.9


def test_a_network_that_sorts_does_not_look_by_position() -> None:
    model = nlviz.load_model("transformer.sort")
    capture = model.capture(read_text("d e a b d a c k p g"))
    found = nlviz.position_only(capture, list(capture.affinities)[-1])
    assert found.explained < 0.2
    assert "does not follow from where" in nlviz.words.position_sentence(found)


def test_boxes_and_graphs_have_no_position_in_common() -> None:
    model = nlviz.load_model("gat.lookup")
    capture = model.capture(nlviz.read_graph(nlviz.bundled_graphs()["lookup.json"]))
    with pytest.raises(NlvizError, match="boxes or nodes"):
        nlviz.position_only(capture, next(iter(capture.affinities)), model=model)


def test_other_clips_have_the_shape_of_one_and_are_the_same_each_time() -> None:
    like = Clip.from_frames(np.zeros((3, 40, 60, 3), np.uint8), fps=5)
    one, two = (list(other_clips(like, 9)) for _ in range(2))
    assert {clip.shape for clip in one} == {(3, 40, 60)}
    assert [c.digest for c in one] == [c.digest for c in two]
    assert len({c.digest for c in one}) == 9
    moving = [float(np.abs(np.diff(c.frames.astype(float), axis=0)).mean()) for c in one]
    assert min(moving) > 0.2
    film = Clip.from_frames(np.arange(6 * 50 * 70 * 3).reshape(6, 50, 70, 3).astype(np.uint8))
    assert next(other_clips(like, 1, of=[film])).name == "a part of frames"


def test_other_texts_keep_marks_and_numbers_in_their_places() -> None:
    text = read_text("a 3 b 7 c 1 d 9 | c a")
    for other in (*other_clips(text, 6, orders=True), *other_clips(text, 6)):
        words = other.text.split()
        assert set(words) <= set(text.text.split())
        assert [w.isdecimal() for w in words] == [w.isdecimal() for w in text.text.split()]
        assert words[8] == "|"
    for other in other_clips(text, 6, orders=True):
        assert sorted(other.text.split()) == sorted(text.text.split())
    with pytest.raises(NlvizError, match="three of them"):
        next(other_clips(read_text("a | b"), 1))


def test_tokens_are_the_same_where_their_places_are() -> None:
    one = planted("content", 1)
    assert same_tokens(one, planted("content", 2))
    other = planted("content", 1, grid=replace(GRID, stride=(1, 4, 4)))
    assert not same_tokens(one, other)
    with pytest.raises(NlvizError, match="same tokens"):
        mean_of([one, other])
