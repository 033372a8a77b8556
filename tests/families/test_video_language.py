"""Words of models of pictures and words as queries, patches of a clip as keys."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import nlviz
from nlviz.captures.capture import Capture
from nlviz.captures.model import Model
from nlviz.clips.clip import Clip
from nlviz.clips.text import with_prompt
from nlviz.errors import NlvizError
from nlviz.families import family_of
from nlviz.families.reading.prepared_words import PreparedWords
from tests.families.small_video_language import BUILT, small_video_language

transformers = pytest.importorskip("transformers")
ASKED = "What is the dog doing?"
NAMES = sorted(BUILT)
VIDEO = [n for n in NAMES if n not in ("paligemma", "gemma3", "idefics3")]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    level = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    yield
    transformers.logging.set_verbosity(level)


def built(name: str) -> tuple[Any, Any]:
    if name == "smolvlm":
        pytest.importorskip("num2words")
    return small_video_language(name)


def noise(frames: int, height: int, width: int, seed: int = 0) -> Clip:
    values = np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3))
    return Clip.from_frames(values.astype(np.uint8), name="noise", fps=4)


def prepared(net: Any, processor: Any, clip: Clip, text: str = ASKED) -> PreparedWords:
    """Return an input whose tokens are placed."""
    adapter = family_of(net).blocks.with_processor(processor)  # type: ignore[union-attr]
    model = Model(net, adapter=adapter)
    clip = model.long_enough(with_prompt(clip, nlviz.read_text(text)))
    found = model.adapter.settled(net, model.prepared(clip))  # type: ignore[attr-defined]
    assert isinstance(found, PreparedWords)
    return found


def language_layers(capture: Capture) -> list[str]:
    return [n for n in capture.affinities if "language_model" in n or "text_model" in n]


def entering(net: Any, given: PreparedWords, pixels: torch.Tensor) -> torch.Tensor:
    """Return what enters the language model, (tokens, channels)."""
    kept: list[torch.Tensor] = []

    def keep(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        kept.append(kwargs["inputs_embeds"][0].double())

    handle = net.get_decoder().register_forward_pre_hook(keep, with_kwargs=True)
    with torch.no_grad():
        given.call(net, pixels)
    handle.remove()
    return kept[0]


@pytest.mark.parametrize("frames", [4, 1])
@pytest.mark.parametrize("name", NAMES)
def test_a_vision_token_is_the_patch_whose_pixels_move_it(
    name: str, frames: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "video-llava" and frames == 1:
        pytest.skip("its processor of pictures rounds, which is refused below")
    net, processor = built(name)
    clip = noise(frames, 48, 72)
    first = prepared(net, processor, clip)
    assert first.layout is not None
    grid, order = first.layout.grid, first.layout.order
    assert len(order) == len(first.ids) and sorted(order.tolist()) == list(range(len(order)))
    # Without attention a token is made of its own pixels alone.
    attention = torch.nn.functional.scaled_dot_product_attention
    monkeypatch.setattr(
        torch.nn.functional,
        "scaled_dot_product_attention",
        lambda *args, **kwargs: torch.zeros_like(attention(*args, **kwargs)),
    )
    before = entering(net, first, first.tensor)
    for index in sorted(
        {0, 1, grid.shape[2], grid.size // 2 + 1, grid.size - 1} & {*range(grid.size)}
    ):
        frame, y, x = grid.centre(index)
        _, sy, sx = grid.stride
        moved = clip.frames.copy()
        top, left = max(round(y - sy / 4), 0), max(round(x - sx / 4), 0)
        part = (round(frame), slice(top, round(y + sy / 4) + 1), slice(left, round(x + sx / 4) + 1))
        moved[part] = 255 - moved[part]
        again = prepared(net, processor, Clip.from_frames(moved, name="moved", fps=4))
        off = (entering(net, first, again.tensor) - before).norm(dim=1)
        of_grid = off[torch.from_numpy(order[grid.prefix :])]
        assert int(of_grid.argmax()) == index, index
        beside = np.abs(
            np.subtract([grid.unravel(i) for i in range(grid.size)], grid.unravel(index))
        )
        assert not of_grid[torch.from_numpy((beside > (0, 1, 1)).any(1))].any()
        words = [n for n in order[: grid.prefix].tolist() if not first.vision[n]]
        assert float(off[words].max()) == 0.0


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_those_of_eager_attention_also_of_chosen_words(name: str) -> None:
    net, processor = built(name)
    clip = noise(4, 48, 72)
    whole = nlviz.capture(net, clip, text=ASKED, processor=processor)
    some = nlviz.capture(net, clip, text=ASKED, processor=processor, queries=["dog", "What"])
    given = prepared(net, processor, clip)
    layout = given.layout
    assert layout is not None
    assert whole.text is not None and whole.text.tokens == layout.text.tokens
    net.set_attn_implementation("eager")
    again = replace(given, kwargs={**given.kwargs, "output_attentions": True})
    with torch.no_grad():
        output = again.call(net, given.tensor)
    eager = output.attentions[-2:]
    order = torch.from_numpy(layout.order)
    dog = whole.text.token_of("dog")
    at = int(layout.numbers[dog])
    for layer, rows in zip(language_layers(whole), eager, strict=True):
        wanted = rows[0][:, at][:, order]
        affinity = whole.affinities[layer]
        assert affinity.heads == 4
        assert torch.allclose(affinity.token_rows([dog])[:, 0], wanted, atol=1e-5)
        patch = affinity.queries.size // 2
        own = int(layout.order[affinity.queries.prefix + patch])
        assert torch.allclose(affinity.rows([patch])[:, 0], rows[0][:, own][:, order], atol=1e-5)
        few = some.affinities[layer]
        assert few.phi.shape[0] == 2 and few.theta.shape[:2] == (4, 3)
        assert torch.allclose(few.token_rows([0])[:, 0], wanted, atol=1e-5)
        one, two = affinity.map(token="dog"), few.map(token="dog")
        assert np.allclose(one.weights, two.weights, atol=1e-6)
        assert two.off_weights is not None and one.off_weights is not None
        assert np.allclose(one.off_weights, two.off_weights, atol=1e-6)
        assert np.isclose(two.weights.sum() + two.off_weights.sum(), 1, atol=1e-5)
        assert some.receipts[layer].holds


@pytest.mark.parametrize("name", ["qwen2.5-vl", "llava-onevision", "internvl"])
def test_in_half_precision_rows_agree_to_a_hundredth(name: str) -> None:
    net, processor = built(name)
    clip = noise(4, 48, 72)
    exact = nlviz.capture(net, clip, text=ASKED, processor=processor, queries=["dog"])
    half = nlviz.capture(
        net.to(torch.bfloat16), clip, text=ASKED, processor=processor, queries=["dog"]
    )
    for layer, affinity in exact.affinities.items():
        off = half.affinities[layer].map(token="dog").weights - affinity.map(token="dog").weights
        assert float(np.abs(off).max()) < 1e-2
        assert half.affinities[layer].phi.dtype == torch.bfloat16


def test_a_row_is_shared_out_between_clip_words_and_marks(tmp_path: Path) -> None:
    net, processor = built("llava-onevision")
    clip = noise(4, 40, 56)
    found = nlviz.capture(net, clip, text=ASKED, processor=processor)
    affinity = found.affinities[language_layers(found)[0]]
    row = affinity.map(token="dog", head=1)
    parts = nlviz.shares(row)
    rows = affinity.token_rows()
    line = affinity.keys.line
    assert line is not None and found.text is not None
    own = rows[1, found.text.token_of("dog")]
    marks = [i for i in range(line.size) if i in line.special]
    assert parts.special == pytest.approx(float(own[marks].sum()), abs=1e-6)
    assert parts.vision == pytest.approx(float(own[line.size :].sum()), abs=1e-6)
    assert parts.text + parts.vision + parts.special == pytest.approx(1, abs=1e-5)
    assert np.allclose(parts.per_frame, own[line.size :].reshape(4, 9).sum(1), atol=1e-6)
    # Who looks at a patch: patches behind it, and words behind the clip.
    to = affinity.map(frame=1, y=8, x=30, direction="to", head=1)
    key = line.size + affinity.keys.nearest(frame=1, y=8, x=30)
    assert to.off_weights is not None
    assert np.allclose(to.off_weights, rows[1, :, key], atol=1e-6)
    with pytest.raises(NlvizError, match=r"shares are those of a row"):
        nlviz.shares(to)


def test_captures_are_saved_with_their_words(tmp_path: Path) -> None:
    net, processor = built("llava-onevision")
    clip = noise(4, 40, 56)
    for queries in (None, ["dog"]):
        found = nlviz.capture(net, clip, text=ASKED, processor=processor, queries=queries)
        again = nlviz.read_capture(found.save(tmp_path / "saved.nlviz"))
        for name, affinity in found.affinities.items():
            if name not in language_layers(found):
                continue
            one, two = affinity.map(token="dog"), again.affinities[name].map(token="dog")
            assert np.allclose(one.weights, two.weights, atol=1e-6)
            assert two.keys.line == one.keys.line


def test_a_word_that_was_cut_into_parts_stands_for_all_of_them() -> None:
    net, processor = built("llava-onevision")
    clip = noise(4, 40, 56)
    found = nlviz.capture(net, clip, text=ASKED, processor=processor, queries=["doing", "the"])
    affinity = found.affinities[language_layers(found)[0]]
    assert affinity.queries.line is not None
    assert affinity.queries.line.words == ("do", "i", "n", "g", "the")
    anywhere = affinity.map(frame=2, y=3, x=30)
    assert np.array_equal(anywhere.weights, affinity.map(token="the").weights)
    assert "wherever you point, the row is that of “the”" in affinity.note
    to = affinity.map(frame=2, y=3, x=30, direction="to")
    key = affinity.keys.prefix + affinity.keys.nearest(frame=2, y=3, x=30)
    assert to.off_weights is not None
    assert np.allclose(to.off_weights, affinity.token_rows()[..., key].mean(0), atol=1e-6)
    trunk = nlviz.capture(net.model, clip, text=ASKED, processor=processor)
    assert trunk.logits is None and any("without the head" in note for note in trunk.notes)


def test_words_are_chosen_of_attention_that_is_not_fused_too() -> None:
    net, processor = built("llava-next-video")
    clip = noise(4, 40, 56)
    fused = nlviz.capture(net, clip, text=ASKED, processor=processor, queries=["dog"])
    net.set_attn_implementation("eager")
    eager = nlviz.capture(net, clip, text=ASKED, processor=processor, queries=["dog"])
    assert list(eager.affinities) == list(fused.affinities)
    for name, affinity in fused.affinities.items():
        assert eager.affinities[name].queries == affinity.queries
        assert np.allclose(
            eager.affinities[name].map(token="dog").weights,
            affinity.map(token="dog").weights,
            atol=1e-6,
        )


def test_time_and_patches_are_merged_as_the_network_merges_them() -> None:
    net, processor = built("qwen2.5-vl")
    found = nlviz.capture(net, noise(5, 40, 56), text=ASKED, processor=processor)
    grid = found.affinities[language_layers(found)[0]].queries
    assert len(found.clip.frames) == 6  # the last one is repeated: two frames make a token
    assert grid.shape == (3, 5, 7)
    assert np.allclose(grid.stride, (2, 8, 8)) and np.allclose(grid.origin, (0.5, 3.5, 3.5))
    assert grid.line is not None and grid.line.size == grid.prefix
    text = found.text
    assert text is not None and text.text.endswith("<|im_start|>assistant\n")
    assert (grid.line.words, grid.line.spans) == (text.tokens, text.spans)
    assert next(text.text[a:b] for a, b in text.spans if b - a == 3) == "the"
    whole, windows = (found.affinities[f"model.visual.blocks.{n}.attn"] for n in (2, 0))
    assert whole.queries.shape == windows.queries.shape == (3, 10, 14)
    assert np.allclose(whole.queries.stride[1:], 4)
    assert int(whole.support.counts(whole.queries, whole.keys).max()) == 140
    row = windows.map(frame=2, y=1, x=1)
    reached = np.argwhere(row.weights > 0)
    assert reached.min(0).tolist() == [1, 0, 0] and reached.max(0).tolist() == [1, 3, 3]


def test_an_answer_is_written_and_its_words_are_queries() -> None:
    net, processor = built("llava-next-video")
    clip = noise(4, 40, 56)
    found = nlviz.capture(net, clip, text=ASKED, processor=processor, generate=5, queries="answer")
    with torch.no_grad():
        given = prepared(net, processor, clip)
        inputs = {n: v for n, v in given.kwargs.items() if isinstance(v, torch.Tensor)}
        wanted = net.generate(
            **inputs, pixel_values_videos=given.tensor, max_new_tokens=5, do_sample=False,
            pad_token_id=0,
        )[0, len(given.ids) :]  # fmt: skip
    assert found.text is not None
    words = found.text.tokens[-len(wanted) :]
    assert any("The network's answer" in note for note in found.notes)
    own = prepared(net, processor, clip).with_ids(torch.cat([given.ids, wanted])).placed(net)
    assert own.text is not None and own.text.tokens[-len(wanted) :] == words
    layer = found.affinities[language_layers(found)[-1]]
    assert layer.queries.prefix == sum(
        i not in found.text.special
        for i in range(len(found.text.tokens) - len(wanted), len(found.text.tokens))
    )
    named = found.prediction(3)
    assert len(named) == 3 and all(isinstance(label, str) for label, _ in named)


def test_a_folder_with_its_processor_is_asked_as_the_live_network(tmp_path: Path) -> None:
    net, processor = built("qwen2-vl")
    net.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    clip = noise(4, 40, 56)
    model = nlviz.load_model(str(tmp_path))
    assert model.inputs == ("clip", "text")
    found = model.capture(clip, text=nlviz.read_text(ASKED), queries=["dog"])
    live = nlviz.capture(net, clip, text=ASKED, processor=processor, queries=["dog"])
    for layer, affinity in live.affinities.items():
        one, two = affinity.map(token="dog"), found.affinities[layer].map(token="dog")
        assert np.allclose(one.weights, two.weights, atol=1e-6)


def test_what_cannot_be_asked_is_refused_in_a_sentence(tmp_path: Path) -> None:
    net, processor = built("llava-next-video")
    clip = noise(4, 40, 56)
    with pytest.raises(NlvizError, match=r"needs its processor .* none came with it; .*processor="):
        nlviz.capture(net, clip, text=ASKED)
    with pytest.raises(NlvizError, match=r"a text must have a place for the clip"):
        nlviz.capture(net, clip, text="<|im_start|>user", processor=processor)
    with pytest.raises(NlvizError, match=r"<video> once for each video, 1 times here"):
        nlviz.capture(net, clip, text="<video> and <video>", processor=processor)
    with pytest.raises(NlvizError, match=r"takes a clip and a text"):
        nlviz.capture(net, nlviz.read_text(ASKED), processor=processor)
    with pytest.raises(NlvizError, match=r"'cat' is no word"):
        nlviz.capture(net, clip, text=ASKED, processor=processor, queries=["cat"])
    with pytest.raises(NlvizError, match=r"queries are words"):
        nlviz.capture(net, clip, text=ASKED, processor=processor, queries="dog")
    net.config.text_config.max_position_embeddings = 50
    with pytest.raises(NlvizError, match=r"context of 50 tokens, .* 36 are 4 frames of 56x40 px"):
        nlviz.capture(net, clip, text=ASKED, processor=processor)
    net.save_pretrained(tmp_path)
    with pytest.raises(NlvizError, match=r"processor of LlavaNextVideo.* could not be read"):
        nlviz.load_model(str(tmp_path)).capture(clip, text=ASKED)


def test_a_processor_that_rounds_is_refused() -> None:
    net, processor = built("video-llava")
    with pytest.raises(NlvizError, match=r"its processor rounds the numbers of pixels"):
        nlviz.capture(net, noise(1, 40, 56), text=ASKED, processor=processor)


def test_a_prompt_that_says_where_the_clip_stands_is_taken_as_it_is() -> None:
    net, processor = built("llava-onevision")
    found = nlviz.capture(net, noise(4, 40, 56), text=f"{ASKED} <video> A dog", processor=processor)
    assert found.text is not None
    assert found.text.text.split() == [*ASKED.split(), "A", "dog"]
    last = found.affinities[language_layers(found)[0]].map(token=f"0:{found.text.tokens[0]}")
    assert last.weights.sum() == 0  # a word sees no frame that comes behind it


def test_a_network_of_pictures_is_given_the_frames_one_by_one() -> None:
    net, processor = built("gemma3")
    found = nlviz.capture(net, noise(3, 40, 56), text=ASKED, processor=processor)
    affinity = found.affinities[language_layers(found)[1]]
    assert affinity.queries.shape == (3, 3, 3)
    assert any("takes pictures, no video: the 3 frames" in note for note in found.notes)
    # A patch sees those behind it in its own picture, and none of the next one.
    row = affinity.map(frame=1, y=5, x=5)
    assert row.per_frame()[1] > 0 and row.weights[1, 2, 2] > 0 and row.weights[2].sum() == 0


def test_tiles_make_the_grid_and_the_whole_stands_among_the_words() -> None:
    net, processor = built("idefics3")
    found = nlviz.capture(net, noise(1, 40, 56), text=ASKED, processor=processor)
    affinity = found.affinities[language_layers(found)[0]]
    assert affinity.queries.shape == (1, 6, 6)
    assert affinity.queries.line is not None
    overview = [w for w in affinity.queries.line.words if w.startswith("overview.")]
    assert len(overview) == 9
    assert any("9 tokens of the whole stand among the words" in note for note in found.notes)


def test_the_network_computes_the_same_after_a_capture() -> None:
    net, processor = built("llava-next-video")
    clip = noise(4, 40, 56)
    given = prepared(net, processor, clip)
    with torch.no_grad():
        before = given.call(net, given.tensor).logits
        nlviz.capture(net, clip, text=ASKED, processor=processor, generate=2)
        assert torch.equal(given.call(net, given.tensor).logits, before)
