"""CoAtNet's layouts: pictures, recipe, what is bundled, and that the page is of its measures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from timm.models.maxxvit import MaxxVit

import nlviz
from nlviz.errors import NlvizError
from nlviz.files.local import digest_of
from nlviz.networks.coatnet import LAYOUTS, Layout, coatnet, trunk_of
from nlviz.recipes.coatnet_card import bundle, card, example, listed_in
from nlviz.recipes.coatnet_layouts import (
    batch_at,
    file_name,
    main,
    read,
    train,
    train_trunk,
    with_trunk_of,
    write,
)
from nlviz.recipes.coatnet_measures import (
    PICTURES,
    SEED,
    answers,
    interval,
    measured,
    moved,
    nets_of,
    results,
    right_by_place,
)
from nlviz.recipes.coatnet_results import apart, compared, page
from nlviz.recipes.placed_digits import (
    DIGIT,
    REACH,
    SEEN,
    corners_of,
    covered,
    planes,
    seen,
)
from nlviz.resources import asset

ROOT = Path(__file__).parents[2]
RESULTS = json.loads(asset("lessons/coatnet-layouts.json").read_text("utf-8"))


def bundled(*layouts: Layout) -> dict[Layout, MaxxVit]:
    return nets_of([asset(f"weights/coatnet.{name.lower()}.safetensors") for name in layouts])


def test_to_move_the_window_is_to_shift_the_picture() -> None:
    drawn = planes(5, seed=3)
    start = np.array([[0, 3], [7, 1], [20, 20], [12, 40], [31, 5]])
    before, after = drawn.window(start), drawn.window(np.add(start, [9, 0]))
    assert (after[:, 9:] == before[:, :-9]).all()
    assert not (after[:, :9] == before[:, :9]).all()
    for picture, (y, x) in zip(before, start, strict=True):
        inside = picture[y : y + DIGIT, x : x + DIGIT]
        assert inside.max() > picture.mean() + 60


def test_places_and_writings_of_training_are_apart_from_the_others() -> None:
    inside, outside = corners_of(900, seed=1), corners_of(900, seed=1, unseen=True)
    assert (inside.min(), inside.max(), outside.max()) == (0, SEEN, REACH)
    assert not {tuple(c) for c in inside.tolist()} & {tuple(c) for c in outside.tolist()}
    pictures, digits, corners = batch_at(2, 1, 5, size=40)
    assert seen(corners.numpy()).all()
    assert pictures.shape == (40, 3, 64, 64)
    learned, held = planes(700, seed=4, split="training"), planes(700, seed=4)
    assert learned.writings.max() > 1100 > 597 > held.writings.max()
    assert len(set(digits.tolist())) > 5


def test_cells_of_the_digit_are_those_whose_middle_it_covers() -> None:
    corners = torch.tensor([[0, 40], [13, 6]])
    for shown, (y, x) in zip(covered(corners), corners.tolist(), strict=True):
        for row in range(16):
            for column in range(16):
                middle = (4 * row + 1.5, 4 * column + 1.5)
                inside = y <= middle[0] < y + DIGIT and x <= middle[1] < x + DIGIT
                assert bool(shown[row, column]) == inside


def test_layouts_are_of_one_size_and_small() -> None:
    sizes = [sum(p.numel() for p in coatnet(layout).parameters()) for layout in LAYOUTS]
    assert max(sizes) / min(sizes) < 1.01
    files = [asset(f"weights/coatnet.{layout.lower()}.safetensors") for layout in LAYOUTS]
    assert sum(file.stat().st_size for file in files) < 1_000_000


def short(folder: Path, *stops: int | None) -> dict[Layout, dict[str, Any]]:
    """Train for a few steps, stopping now and then, as other processes would go on."""
    first, nets = None, {}
    for until in stops:
        torch.manual_seed(8)
        first = coatnet("C-C-C-C")
        kept = folder / "trunk.pt"
        train_trunk(first, seed=4, checkpoint=kept, report=len, steps=3, until=until)  # type: ignore[arg-type]
    assert first is not None
    for until in stops:
        names: tuple[Layout, ...] = ("C-C-C-T", "C-T-T-T")
        torch.manual_seed(9)
        nets = {name: with_trunk_of(coatnet(name), first) for name in names}
        kept = folder / "rest.pt"
        train(nets, seed=4, checkpoint=kept, report=len, steps=4, until=until)  # type: ignore[arg-type]
    return {name: net.state_dict() for name, net in nets.items()}


def test_an_interrupted_run_ends_at_the_same_weights(tmp_path: Path) -> None:
    (tmp_path / "once").mkdir()
    (tmp_path / "twice").mkdir()
    once, twice = short(tmp_path / "once", None), short(tmp_path / "twice", 2, None)
    for layout, state in once.items():
        for name, value in state.items():
            torch.testing.assert_close(twice[layout][name], value, rtol=0, atol=0)
    same = {name: once["C-C-C-T"][name] for name in ("stem.conv1.weight", "head.fc.weight")}
    assert torch.equal(same["stem.conv1.weight"], once["C-T-T-T"]["stem.conv1.weight"])
    assert not torch.equal(same["head.fc.weight"], once["C-T-T-T"]["head.fc.weight"])


def test_the_first_stage_learns_in_seconds(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net, told = coatnet("C-C-T-T"), []
    checkpoint = tmp_path / "trunk.pt"
    train_trunk(net, seed=0, checkpoint=checkpoint, report=told.append, steps=24)
    first, last = 2.4, float(told[-1].split()[-1])  # log 11 at the beginning
    assert last < first - 0.1, told
    assert not any(p.requires_grad for p in trunk_of(net).parameters())


def test_the_recipe_measures_and_bundles_from_the_command_line(tmp_path: Path) -> None:
    arguments = ["--seeds", "5", "--steps", "1", "--trunk-steps", "1", "--out"]
    main([*arguments, str(tmp_path)])
    found = results(tmp_path, pictures=10, each=1)
    assert found["task"]["seeds"] == [5]
    assert set(found["layouts"]) == set(LAYOUTS)
    out = tmp_path / "out"
    out.mkdir()
    files = bundle(tmp_path, 5, found, out)
    assert len(files) == 8
    told = json.loads((out / "coatnet.c-t-t-t.json").read_text("utf-8"))
    assert told["sha256"] == digest_of(out / "coatnet.c-t-t-t.safetensors")
    assert "C-T-T-T" in page(found)
    table = tmp_path / "README.md"
    table.write_text("| file |\n|---|\n| `a` | b |\n\nThe end.\n\n| `second` | table |\n")
    for _ in range(2):
        listed_in(table, {"x": "what | by | licence"}, {"x": files[0]})
    assert (
        table.read_text().splitlines()[3]
        == f"| `x` | what | by | licence | `{digest_of(files[0])}` |"
    )
    assert table.read_text().count("| `x`") == 1


def test_networks_of_two_seeds_are_not_measured_together(tmp_path: Path) -> None:
    paths = []
    for seed, layout in enumerate(LAYOUTS[:2]):
        torch.manual_seed(seed)
        paths.append(tmp_path / file_name(layout, seed))
        write(coatnet(layout), paths[-1], layout=layout, seed=seed)
    with pytest.raises(NlvizError, match="share stem and first stage"):
        nets_of(paths)


def test_shared_first_stages_give_the_answers_of_whole_networks() -> None:
    nets = bundled("C-C-C-C", "C-T-T-T")
    pictures = planes(7, seed=2).window(corners_of(7, seed=3))
    grey = torch.from_numpy(pictures)[:, None].expand(-1, 3, -1, -1) / 255
    for layout, given in answers(nets, pictures).items():
        with torch.no_grad():
            assert given.tolist() == nets[layout](grey).argmax(1).tolist()


def test_measures_count_what_they_say() -> None:
    nets = bundled("C-C-T-T")
    told = measured(nets, pictures=12)["C-C-T-T"]
    drawn, start = planes(12, seed=SEED + 1), corners_of(12, seed=SEED + 2)
    model = nlviz.load_model("coatnet.c-c-t-t", device="cpu")
    for n in range(12):
        here, there = (
            int(model.logits(nlviz.Clip.from_frames(frame[None].repeat(3, -1))).argmax())
            for frame in (
                drawn.window(corners)[n][..., None]
                for corners in (start, np.add(start, [8, 0] if n % 2 else [0, 8]))
            )
        )
        assert told["seen"][n] == (here == drawn.digits[n])
        assert told["shift 8"][n] == (here == there)
    assert (moved(start, 8)[1] == np.add(start[1], [8, 0])).all()


def test_the_bundled_networks_measure_as_told() -> None:
    """The same pictures again: digits that are held out, at both kinds of places."""
    nets = bundled(*LAYOUTS)
    drawn = planes(PICTURES, seed=SEED + 1)
    for name, unseen in (("seen", False), ("unseen", True)):
        corners = corners_of(PICTURES, seed=SEED + 2 + unseen, unseen=unseen)
        for layout, given in answers(nets, drawn.window(corners)).items():
            told = RESULTS["layouts"][layout]["measures"][name]["seeds"]["0"]
            assert (given == drawn.digits).mean() == pytest.approx(told, abs=0.002)


def test_places_of_the_map_are_in_order() -> None:
    net = bundled("C-C-C-C")
    drawn = planes(6, seed=SEED + 4)
    found = right_by_place(net, each=6)["C-C-C-C"]
    given = answers(net, drawn.window(np.broadcast_to([REACH, 4], (6, 2))))["C-C-C-C"]
    assert found.shape == (11, 11)
    assert found[10, 1] == pytest.approx((given == drawn.digits).mean())


def test_intervals_hold_the_mean_and_are_wider_where_pictures_hang_together() -> None:
    values = np.random.default_rng(0).random(400)
    low, high = interval(values, np.arange(400))
    assert low < values.mean() < high
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / 20, rel=0.1)
    same = np.repeat(values[:100], 4)
    together = interval(same, np.repeat(np.arange(100), 4))
    apart_ = interval(same, np.arange(400))
    assert together[1] - together[0] > 1.7 * (apart_[1] - apart_[0])


def test_a_difference_is_told_where_pictures_and_seeds_agree() -> None:
    clear = {"mean": 0.1, "interval": [0.05, 0.15], "seeds": {"0": 0.1, "1": 0.1}}
    level = {"mean": 0.0, "interval": [-0.05, 0.05], "seeds": {"0": 0.01, "1": -0.01}}
    assert (apart(clear), apart(level)) == (1, 0)
    assert apart({"interval": [-0.2, -0.1], "seeds": {"0": -0.1, "1": -0.2}}) == -1
    made = {
        "layouts": {
            "C-C-C-C": {"against": {}},
            "C-C-C-T": {"against": {"seen": clear}},
            "C-C-T-T": {"against": {"seen": level}},
        }
    }
    assert compared(made, "seen") == (
        "C-C-C-T (+10.0 points) higher than C-C-C-C; C-C-T-T (+0.0 points) not to be told from "
        "C-C-C-C"
    )


def test_the_page_is_that_of_the_measures() -> None:
    assert (ROOT / "docs/coatnet-layouts.md").read_text("utf-8") == page(RESULTS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_card_is_of_its_weights_and_measures(layout: Layout) -> None:
    weights = asset(f"weights/coatnet.{layout.lower()}.safetensors")
    assert json.loads(weights.with_suffix(".json").read_text("utf-8")) == card(weights, RESULTS)
    net, told = read(weights)
    assert told == layout
    parameters = sum(p.numel() for p in net.parameters())
    assert parameters == RESULTS["layouts"][layout]["parameters"]


def test_the_bundled_picture_is_that_of_the_recipe_and_is_read_rightly(tmp_path: Path) -> None:
    clip = nlviz.read_clip(asset("photos/digit.png"))
    assert (nlviz.read_clip(example(tmp_path / "digit.png")).frames == clip.frames).all()
    assert clip.shape == (1, 64, 64)
    for layout in LAYOUTS[1:]:
        capture = nlviz.load_model(f"coatnet.{layout.lower()}", device="cpu").capture(clip)
        assert capture.prediction(1)[0][0] == str(planes(1, seed=7).digits[0])
