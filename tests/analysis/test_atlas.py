"""One query in every layer and head: its maps are those of each head, its figures those of maps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch

import nlviz
from nlviz.affinity.asked import query_number, rows_at
from nlviz.affinity.embedded import EmbeddedAffinity
from nlviz.affinity.grid import TokenGrid
from nlviz.affinity.pairwise import Pairwise, PairwiseName
from nlviz.affinity.support import FrameGroups
from nlviz.analysis.atlas import Place, head_maps
from nlviz.analysis.atlas_figures import FIGURES, AskedHead, Figure, add_figure
from nlviz.captures.capture import About, Affinities, Capture
from nlviz.errors import NlvizError, OutsideClip, UnknownBlock
from tests.fixtures import make_clip
from tests.words_and_boxes import of_boxes, of_film_and_words, of_nodes, of_words

SHAPE = (5, 48, 80)
FINE = TokenGrid((5, 3, 5), (1, 16, 16), (0, 7.5, 7.5), prefix=1)
COARSE = TokenGrid((2, 2, 3), (2, 24, 27), (0.5, 11.5, 13))
PLACE = (3, 20, 50)


def layer(
    name: str, queries: TokenGrid, keys: TokenGrid, heads: int, f: PairwiseName, **more: Any
) -> EmbeddedAffinity:
    generator = torch.Generator().manual_seed(len(name))
    theta, phi = (
        torch.randn(heads, grid.size + grid.prefix, 7, generator=generator)
        for grid in (queries, keys)
    )
    scale = Pairwise(f, 0.8)
    return EmbeddedAffinity(name, scale, theta, phi, queries, keys, clip_shape=SHAPE, **more)


def captured(**layers: EmbeddedAffinity) -> Capture:
    return Capture(
        clip=make_clip(*SHAPE),
        logits=None,
        affinities=Affinities(layers),
        features=MappingProxyType({}),
        blocks=MappingProxyType({}),
        about=About("made by hand", "not trained"),
    )


def mixed() -> Capture:
    """Layers of several grids, numbers of heads and kinds of rows."""
    f: PairwiseName = "embedded_gaussian"
    return captured(
        early=layer("early", FINE, FINE, 3, f, token_names=("cls",)),
        frames=layer("frames", FINE, FINE, 2, f, support=FrameGroups(1)),
        coarse=layer("coarse", COARSE, COARSE, 4, f),
        signed=layer("signed", FINE, COARSE, 1, "dot_product"),
    )


def test_maps_are_those_of_each_head() -> None:
    capture = mixed()
    found = head_maps(capture, PLACE)
    assert [layer.heads for layer in found.layers] == [3, 2, 4, 1]
    for layer in found.layers:
        affinity = capture.affinities[layer.block]
        for head, row in enumerate(layer.maps):
            wanted = affinity.map(frame=3, y=20, x=50, head=head)
            np.testing.assert_array_equal(row.weights, wanted.weights)
            assert (row.query, row.off_grid, row.normalised) == (
                wanted.query,
                wanted.off_grid,
                wanted.normalised,
            )
    assert found.map("coarse", 2) is found.layers[2].maps[2]
    with pytest.raises(OutsideClip, match="head must be between 0 and 3, got 4"):
        found.map("coarse", 4)
    with pytest.raises(NlvizError, match="the atlas has no layer 'late'"):
        found.map("late", 0)


@pytest.mark.parametrize(
    ("make", "query"),
    [(of_words, "runs"), (of_words, 5), (of_boxes, 1), (of_boxes, "ball"), (of_nodes, 4)],
)
def test_words_boxes_and_nodes_have_heads_too(make: Any, query: Any, tmp_path: Path) -> None:
    capture = make()
    if query == "runs":
        query = capture.text.tokens[1]
    found = nlviz.atlas(capture, query)
    for each in found.layers:
        affinity = capture.affinities[each.block]
        rows = rows_at(affinity, [query_number(affinity, query)])
        for head, row in enumerate(each.maps):
            prefix = affinity.keys.prefix
            np.testing.assert_allclose(row.weights.ravel(), rows[head, 0, prefix:], atol=1e-6)
    assert found.save(tmp_path / "a.png").stat().st_size > 1000


def test_a_word_beside_a_film_is_a_query() -> None:
    capture = of_film_and_words()
    (affinity,) = capture.affinities.values()
    found = nlviz.atlas(capture, "dog")
    rows = rows_at(affinity, [query_number(affinity, "dog")])[:, 0]
    for head, row in enumerate(found.layers[0].maps):
        np.testing.assert_allclose(row.weights.ravel(), rows[head, FILM_WORDS:], atol=1e-6)
    assert found.tiles.layers[0].apart is not None


FILM_WORDS = len(nlviz.read_text("What does the dog do?").tokens)


def test_layers_without_the_query_are_left_out_and_told() -> None:
    capture = mixed()
    found = head_maps(capture, "cls")
    assert [layer.block for layer in found.layers] == ["early"]
    assert set(found.left_out) == {"frames", "coarse", "signed"}
    assert "cls" in found.left_out["coarse"]
    told = nlviz.words.atlas_notes(found)
    assert told == [
        "Without frames, coarse and signed: frames has no query called 'cls'; ask by place."
    ]
    by_number = head_maps(capture, 7)
    assert [layer.block for layer in by_number.layers] == ["early", "frames", "signed"]
    assert "is another place in coarse" in by_number.left_out["coarse"]
    with pytest.raises(OutsideClip):
        head_maps(capture, (9, 1, 1))
    with pytest.raises(NlvizError):
        head_maps(capture, "registers.7")
    with pytest.raises(UnknownBlock):
        head_maps(capture, PLACE, blocks=["erly"])


def test_words_of_another_text_are_not_taken_for_those_that_were_asked() -> None:
    """Of a network that writes an answer, the answer's words are other queries."""
    model = nlviz.load_model("transformer.reverse")
    capture = model.capture(nlviz.read_text("d a c b k"))
    lines = {name: a.queries for name, a in capture.affinities.items()}
    answers = {name for name, line in lines.items() if line.centre(0).x > 2}
    assert answers
    found = head_maps(capture, (0, 0, 2))
    assert {layer.block for layer in found.layers} == set(lines) - answers
    assert set(found.left_out) == answers
    assert all("7 other words" in why for why in found.left_out.values())
    name = min(answers)
    later = head_maps(capture, lines[name].centre(1))
    assert name in {layer.block for layer in later.layers}


def test_a_place_of_a_film_is_no_word_beside_it() -> None:
    film, words = of_boxes(), of_words()
    line = words.affinities["both ways"]
    mixed_kinds = replace(film, affinities=Affinities({**film.affinities, "words": line}))
    found = head_maps(mixed_kinds, (0, 12, 20))
    assert [layer.block for layer in found.layers] == ["boxes"]
    assert "ask by word" in found.left_out["words"]


def test_figures_are_those_of_the_rows() -> None:
    capture = mixed()
    found = head_maps(capture, PLACE)
    statistics = nlviz.query_statistics(capture.affinities["coarse"])
    at = capture.affinities["coarse"].queries.nearest(frame=3, y=20, x=50)
    for head in range(4):
        place = Place(2, head)
        wanted = (statistics.pixels, statistics.own_frame)
        for name, of in zip(("pixels", "own_frame"), wanted, strict=True):
            assert found.value(place, name) == pytest.approx(float(of[head, at]), rel=1e-4)
        assert statistics.entropy is not None
        entropy = float(statistics.entropy[head, at])
        assert found.value(place, "entropy") == pytest.approx(entropy, rel=1e-4)
    assert found.value(Place(3, 0), "effective") is None  # rows of a dot product have none
    assert found.value(Place(2, 0), "off_grid") is None  # no token without a place
    assert found.value(Place(0, 1), "off_grid") == pytest.approx(found.map("early", 1).off_grid)
    with pytest.raises(NlvizError, match="takes with_figure"):
        found.value(Place(0, 0), "sink")
    with pytest.raises(NlvizError, match="did you mean 'sink'"):
        found.with_figure("sinks")


def test_heads_are_sorted_and_those_without_a_figure_come_last() -> None:
    found = head_maps(mixed(), PLACE)
    assert found.ordered() == found.places
    for smallest in (False, True):
        order = found.ordered("effective", smallest=smallest)
        assert sorted(order) == sorted(found.places)
        assert order[-1] == Place(3, 0)
        values = [found.value(place, "effective") or 0 for place in order[:-1]]
        assert values == sorted(values, reverse=not smallest)


def test_a_planted_sink_is_found_in_its_head_alone() -> None:
    affinity = layer("sinks", COARSE, COARSE, 3, "embedded_gaussian")
    theta, phi = affinity.theta.clone(), affinity.phi.clone()
    theta[1, :, 0], phi[1, :, 0] = 6.0, 0.0
    phi[1, 4, 0] = 6.0  # key 4 of head 1, whoever asks
    capture = captured(sinks=replace(affinity, theta=theta, phi=phi))
    heard: list[float] = []
    found = head_maps(capture, PLACE).with_figure("sink", progress=lambda _, at: heard.append(at))
    shares = found.layers[0].figures["sink"]
    assert [share is not None and share > 0.9 for share in shares] == [False, True, False]
    assert heard == sorted(heard)
    assert found.with_figure("sink") is found
    again = head_maps(capture, PLACE).with_values("sink", found.values("sink"))
    assert again.table() == found.table()


def test_the_effect_of_a_head_is_that_of_its_own_links() -> None:
    affinity = layer("cut", COARSE, COARSE, 3, "embedded_gaussian")
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(3, COARSE.size, 5, generator=generator)
    values[2] *= 10
    capture = captured(cut=replace(affinity, values=values))
    found = head_maps(capture, PLACE).with_figure("knock_out")
    at = affinity.queries.nearest(frame=3, y=20, x=50)
    rows = affinity.rows([at])[:, 0].double()
    y = torch.einsum("hk,hkd->hd", rows, values.double())
    # 12 keys are fewer than 20 links: all of a head are cut, and it gives nothing.
    wanted = [float(y[head].norm() / y.norm()) for head in range(3)]
    assert found.layers[0].figures["knock_out"] == pytest.approx(wanted, rel=1e-5)
    without = head_maps(captured(cut=affinity), PLACE).with_figure("knock_out")
    assert without.layers[0].figures["knock_out"] == (None, None, None)
    assert "load the network" in without.untold["knock_out"]
    (note,) = nlviz.words.atlas_notes(without, "knock_out")
    assert note.startswith("Knock-out effect is not told everywhere: ")
    assert not found.untold


def test_a_room_can_add_a_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FIGURES, "largest", None)  # taken out again behind the test

    def largest(asked: AskedHead) -> list[float | None]:
        if asked.block == "coarse":
            raise NlvizError("this layer cannot tell")
        return [float(row.weights.max()) for row in asked.maps]

    add_figure(Figure("largest", "Largest", "the largest weight", "share", "row", largest))
    found = head_maps(mixed(), PLACE, figures=["largest"])
    assert found.figures == ("largest",)
    assert found.layers[2].figures["largest"] == (None,) * 4
    assert found.layers[0].figures["largest"][0] == found.map("early", 0).weights.max()


def test_tiles_show_each_weight_where_it_lies() -> None:
    capture = mixed()
    found = nlviz.atlas(capture, PLACE)
    tiles = found.tiles
    assert tiles.frames == (0, 1, 2, 3, 4)
    height, width = tiles.cell
    row = found.map("early", 1)
    shares = tiles.layers[0].shares[1]
    for index in range(row.keys.size):
        frame, y, x = row.keys.centre(index)
        n = tiles.frames.index(round(frame))
        top, left = n // tiles.columns * height, n % tiles.columns * width
        at = top + int((y + 0.5) * height / SHAPE[1]), left + int((x + 0.5) * width / SHAPE[2])
        weight = row.weights[row.keys.unravel(index)] / row.uniform / tiles.scale.top
        wanted = 0.0 if index == row.own else min(max(weight, -1), 1)
        assert shares[at] == pytest.approx(wanted, abs=1e-5)
    # Frames that a query does not reach are told from weights of 0.
    own = tiles.layers[1].shares[0]
    assert np.isnan(own).mean() == pytest.approx(1 - 1 / (tiles.rows * tiles.columns))
    assert tiles.scale.signed  # one layer is a dot product: zero is the middle for all


@pytest.mark.parametrize(
    ("shape", "clip"),
    [((3, 7, 7), (3, 48, 80)), ((2, 9, 4), (2, 90, 160)), ((3, 5, 7), (3, 77, 50))],
)
def test_every_key_has_a_pixel_whatever_the_shape_of_the_frame(
    shape: tuple[int, int, int], clip: tuple[int, int, int]
) -> None:
    t, height, width = clip
    stride = (1.0, height / shape[1], width / shape[2])
    grid = TokenGrid(shape, stride, (0, stride[1] / 2 - 0.5, stride[2] / 2 - 0.5))
    theta, phi = torch.randn(2, 3, grid.size, 5)
    affinity = EmbeddedAffinity("a", Pairwise("gaussian"), theta, phi, grid, grid)
    capture = replace(captured(a=affinity), clip=make_clip(t, height, width))
    tiles = nlviz.atlas(capture, (1, 3, 4)).tiles.layers[0]
    assert tiles.key_of is not None
    assert set(range(grid.size)) <= set(tiles.key_of.ravel().tolist())
    assert tiles.own is not None


def test_a_pixel_that_stands_for_several_keys_shows_the_strongest() -> None:
    grid = TokenGrid((1, 200, 330))
    phi = torch.zeros(40, grid.size, 1)
    phi[:, 140 * 330 + 100] = 8.0
    theta = torch.ones(40, 1, 1).expand(40, grid.size, 1)
    affinity = EmbeddedAffinity("fine", Pairwise("gaussian"), theta, phi, grid, grid)
    capture = replace(captured(fine=affinity), clip=make_clip(1, 200, 330))
    atlas = nlviz.atlas(capture, (0, 5, 5))
    (tiles,) = atlas.tiles.layers
    assert tiles.key_of is None
    height, width = tiles.shares.shape[1:]
    assert width <= 160
    y, x = np.unravel_index(tiles.shares[7].argmax(), (height, width))
    assert abs(y - 140 * height / 200) <= 1
    assert abs(x - 100 * width / 330) <= 1
    assert tiles.shares[7].max() == 1


def test_one_scale_holds_nine_of_ten_maps_and_tells_what_it_cuts_off() -> None:
    capture = mixed()
    only = nlviz.atlas(capture, PLACE, blocks=["early", "coarse"])
    scale = only.tiles.scale
    tops = [row.top_of_scale() / row.uniform for one in only.layers for row in one.maps]
    assert min(tops) <= scale.top <= 1.25 * max(tops)
    assert not scale.signed
    assert (">" in scale.ends[1]) == (scale.most > scale.top)
    shares = [one.shares[~np.isnan(one.shares)] for one in only.tiles.layers]
    assert all(0 <= one.min() and one.max() <= 1 for one in shares)


def test_many_frames_are_thinned_and_the_querys_own_stays() -> None:
    line = TokenGrid((40, 1, 2), (1, 24, 40), (0, 11.5, 19.5))
    theta, phi = torch.randn(2, 2, 80, 5)
    affinity = EmbeddedAffinity("long", Pairwise("gaussian"), theta, phi, line, line)
    capture = replace(captured(long=affinity), clip=make_clip(40, 24, 80))
    tiles = nlviz.atlas(capture, (33, 10, 10)).tiles
    assert len(tiles.frames) == 16
    assert 33 in tiles.frames


@pytest.mark.parametrize("kind", ["png", "pdf", "svg", "json"])
def test_it_is_saved(kind: str, tmp_path: Path) -> None:
    found = nlviz.atlas(mixed(), PLACE)
    path = found.save(tmp_path / f"atlas.{kind}", figure="pixels")
    content = path.read_bytes()
    if kind == "json":
        told = json.loads(content)
        assert len(told["heads"]) == 10
        assert told["heads"][9]["effective"] is None
        assert told["figures"]["pixels"]["definition"]
    assert content == found.to_bytes(kind, figure="pixels")
    assert found.to_bytes("png") != found.to_bytes("png", logarithmic=True)
    with pytest.raises(NlvizError, match="saved as"):
        found.save(tmp_path / "atlas.gif")


def test_a_notebook_shows_it() -> None:
    found = nlviz.atlas(mixed(), PLACE)
    assert repr(found) == "Atlas(frame 3, y 20, x 50, 4 layers, 10 heads)"
    assert found._repr_html_().count("<img") == 10
    assert found.picture(Place(0, 1), zoom=3).shape[0] == 3 * found.tiles.size[0]
