"""The Denoise page's Python side, through Streamlit's own test runner."""

from __future__ import annotations

import re

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from nlviz.clips.clip import read_clip
from nlviz.denoise import compare
from nlviz.denoise.comparison.results import numbers_of
from nlviz.picture import encode
from nlviz.resources import asset
from tests.app.widgets import the

QUICK = {"size": "48", "with": "gaussian,non-local-means"}


def page_alone() -> None:
    from app.denoise import page as denoise

    denoise.page()


def page(query: dict[str, str] | None = None) -> AppTest:
    test = AppTest.from_function(page_alone, default_timeout=120)
    test.query_params.update(QUICK if query is None else query)
    return test.run()


def texts(test: AppTest) -> str:
    return " ".join(str(e.value) for e in [*test.markdown, *test.caption, *test.info])


def address(test: AppTest) -> dict[str, str]:
    # A list or a string for each, by version of Streamlit.
    return {k: v[-1] if isinstance(v, list) else v for k, v in test.query_params.items()}


def table(test: AppTest) -> dict[str, list[str]]:
    """Return the cells of the results by label, without their marks."""
    (text,) = (m.value for m in test.markdown if m.value.startswith("| | PSNR"))
    rows = [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines()[2:]]
    return {re.sub(r"[\\*]", "", row[0]): row[1:] for row in rows}


def well(test: AppTest) -> None:
    assert not test.exception
    assert not test.error


def picture(height: int = 40, width: int = 52) -> bytes:
    values = np.random.default_rng(3).integers(0, 255, (height, width, 3), np.uint8)
    return encode(values)


@pytest.fixture(scope="module")
def first() -> AppTest:
    return page({"size": "64"})


@pytest.mark.slow
def test_the_first_visit_explains_weighs_and_measures(first: AppTest) -> None:
    well(first)
    told = texts(first)
    assert "weighted mean of pixels" in told
    assert "surroundings" in told and r"\sqrt n" in told
    assert "How alike are these two choices of weights?" in told
    assert "distance alone" in told and "chance" in told
    assert list(table(first)) == [
        "Noisy",
        "Mean filter",
        "Gaussian filter",
        "Bilateral filter",
        "Non-local means",
        "Learned, local",
        "Learned, non-local",
    ]
    assert not [b for b in first.button if b.label == "Cancel"]
    assert address(first)["picture"] == "cat.jpg"


def test_the_table_has_the_digits_of_python(first: AppTest) -> None:
    cat = np.asarray(read_clip(asset("photos/cat.jpg"), size=64).frames[0])
    names = ["mean", "gaussian", "bilateral", "non-local-means", "learned-local"]
    seen = compare(cat, sigma=25, denoisers=[*names, "learned-nonlocal"])
    shown = table(first)
    for row in seen.table:
        psnr, ssim = (re.sub(r"[ *★]", "", cell) for cell in shown[row["label"]][:2])
        assert (psnr, ssim) == numbers_of(row)[:2]
    best = {label for label, cells in shown.items() if "★" in cells[0]}
    assert best == {seen.results[seen.best("psnr") or ""].label}


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"picture": "cta.jpg"}, "did you mean 'cat.jpg'"),
        ({"size": "full", "picture": "/etc/hostname"}, "o bundled input is called"),
    ],
)
def test_a_wrong_address_is_told_in_a_sentence(query: dict[str, str], told: str) -> None:
    test = page({**QUICK, **query})
    assert not test.exception
    (error,) = test.error
    assert told in error.value


def test_an_unreadable_part_of_the_address_is_left_out() -> None:
    test = page({**QUICK, "sigma": "loud"})
    well(test)
    (warning,) = test.warning
    assert "sigma=loud" in warning.value
    assert test.session_state["denoise"].sigma == 25


def test_typed_numbers_move_the_query_and_the_comparison() -> None:
    test = page({**QUICK, "at": "0,20,30"})
    well(test)
    assert "At pixel y 20, x 30" in texts(test)
    the(test.number_input, "dn_query_y").set_value(11).run()
    well(test)
    assert test.session_state["denoise"].query == (0.0, 11.0, 30.0)
    assert "At pixel y 11, x 30" in texts(test)
    assert address(test)["at"] == "0,11,30"


def test_a_pixel_outside_the_picture_falls_back_to_the_opening_one() -> None:
    test = page({**QUICK, "at": "0,5000,5"})
    assert not test.exception
    (warning,) = test.warning
    assert "must be between 0 and" in warning.value
    assert "At pixel y " in texts(test)
    assert "At pixel y 5000" not in texts(test)


def test_another_picture_drops_the_query() -> None:
    test = page({**QUICK, "at": "0,20,30"})
    the(test.selectbox, "dn_picture").set_value("coffee.jpg").run()
    well(test)
    assert test.session_state["denoise"].query is None
    assert address(test)["picture"] == "coffee.jpg"


def test_two_choices_of_weights_are_compared_as_asked() -> None:
    test = page({**QUICK, "at": "0,20,30"})

    def agreement() -> str:
        (text,) = (m.value for m in test.markdown if "distance alone |" in m.value)
        return str(text)

    before = agreement()
    the(test.selectbox, "dn_other").set_value("gaussian").run()
    well(test)
    assert agreement() != before
    the(test.selectbox, "dn_one").set_value("gaussian").run()
    assert "rank correlation | **1.00**" in agreement()


def test_a_strength_is_chosen_told_and_given_back() -> None:
    test = page()
    before = table(test)["Non-local means"][0]
    the(test.slider, "dn_p_non-local-means_h").set_value(1.5).run()
    well(test)
    assert table(test)["Non-local means"][0] != before
    assert address(test)["set"] == "non-local-means.h:1.5"
    assert "--set non-local-means.h=37.5" in " ".join(c.value for c in test.code)
    # The same digits from Python, with h in grey levels.
    cat = np.asarray(read_clip(asset("photos/cat.jpg"), size=48).frames[0])
    python = compare(
        cat, sigma=25, denoisers=["non-local-means"], parameters={"non-local-means": {"h": 37.5}}
    )
    assert table(test)["Non-local means"][0].strip("* ★") == numbers_of(python.table[0])[0]
    test.button(key="dn_reset_non-local-means").click().run()
    well(test)
    assert table(test)["Non-local means"][0] == before
    assert "set" not in address(test)


def test_a_fair_comparison_shows_what_the_oracle_chose() -> None:
    test = page({**QUICK, "fair": "1"})
    well(test)
    told = texts(test)
    assert "The oracle's choice" in told
    assert "PSNR over strength, as tuned against the clean picture" in told


def test_a_picture_that_is_noisy_already_is_not_measured() -> None:
    test = page({**QUICK, "noisy": "1"})
    well(test)
    told = texts(test)
    assert "taken as noisy already" in told
    assert "Donoho and Johnstone" in told
    assert all(cells[0] == "–" for cells in table(test).values())
    assert "The best here is" not in told
    assert the(test.toggle, "dn_fair").disabled


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"noise": "salt-and-pepper", "amount": "0.2"}, "20 % of the pixels"),
        ({"noise": "poisson-gaussian", "gain": "2", "sigma": "4"}, "gain 2 and sigma 4"),
        ({"sigma": "40", "clipped": "1", "seed": "9"}, "sigma 40, clipped to the range, seed 9"),
    ],
)
def test_other_noise_is_said_in_words(query: dict[str, str], told: str) -> None:
    test = page({**QUICK, **query})
    well(test)
    assert told in texts(test)


def test_uploads_are_shown_told_and_open_again_from_their_address() -> None:
    test = page()
    the(test.segmented_control, "dn_kind").set_value("Upload").run()
    well(test)
    assert "Drop a picture" in texts(test)
    the(test.file_uploader, "dn_upload").set_value(("notes.png", b"text", "image/png")).run()
    (error,) = test.error
    assert "notes.png" in error.value
    assert not test.exception
    the(test.file_uploader, "dn_upload").set_value(("own.png", picture(), "image/png")).run()
    well(test)
    assert "own.png, 52 × 40 px" in texts(test)
    assert not test.code  # no command reads what lies on the server alone
    again = page(address(test))
    well(again)
    assert "own.png, 52 × 40 px" in texts(again)
    deep = np.random.default_rng(4).integers(0, 4096, (39, 51)).astype(np.uint16)
    file = ("deep.png", encode(deep), "image/png")
    the(again.file_uploader, "dn_upload").set_value(file).run()
    well(again)
    assert "shown as 12 bits\\: 4095 is white" in texts(again)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (6, 9)])
def test_tiny_uploads_give_results_or_a_sentence(size: tuple[int, int]) -> None:
    test = page()
    the(test.segmented_control, "dn_kind").set_value("Upload").run()
    the(test.file_uploader, "dn_upload").set_value(("tiny.png", picture(*size), "image/png")).run()
    assert not test.exception
    told = " ".join(e.value for e in test.error)
    assert "wrong inside nlviz" not in told
    assert "Gaussian filter" in table(test)


def test_a_clip_is_denoised_frame_by_frame_or_in_space_time() -> None:
    test = page({"picture": "composed-twins.mp4", "size": "32", "with": "mean,non-local-means"})
    well(test)
    assert "Non-local means" in table(test)
    the(test.toggle, "dn_whole").set_value(True).run()
    well(test)
    assert "Non-local means in space-time" in table(test)
    assert "5 frames of" in texts(test)
    assert address(test)["clip"] == "1"


def test_curves_are_computed_when_asked_for() -> None:
    test = page({"size": "24", "with": "gaussian"})
    well(test)
    assert "exp(entropy)" not in texts(test)
    test.button(key="dn_curve_run_h").click().run()
    well(test)
    assert "exp(entropy)" in texts(test)
    test.button(key="dn_curve_run_sigma").click().run()
    well(test)
    assert "Gaussian noise of each sigma" in texts(test)
    assert "exp(entropy)" in texts(test)
    assert not [b for b in test.button if b.label == "Cancel"]


def test_no_denoiser_at_all_is_told() -> None:
    test = page()
    the(test.multiselect, "dn_chosen").set_value([]).run()
    well(test)
    assert "Choose at least one denoiser" in texts(test)


def test_stopped_work_is_taken_up_again() -> None:
    test = page()
    # What a click on Cancel leaves behind; AppTest cannot click while a script runs.
    test.session_state["dn_cancelled"] = _key_of(test)
    test.run()
    well(test)
    assert "Stopped" in texts(test)
    test.button(key="dn_resume").click().run()
    well(test)
    assert "Stopped" not in texts(test)
    assert "Gaussian filter" in table(test)


def _key_of(test: AppTest) -> object:
    from app.denoise import page as denoise

    found: list[object] = []
    original = denoise._computed

    def noted(picture: object, setup: object, known: object, key: object) -> object:
        found.append(key)
        return original(picture, setup, known, key)  # type: ignore[arg-type]

    denoise._computed = noted  # type: ignore[assignment]
    try:
        test.run()
    finally:
        denoise._computed = original
    return found[0]


def test_explore_lends_its_clip_and_a_block_of_its_network() -> None:
    from app.explore.state import Choice
    from nlviz.clips.clip import Sampling

    test = AppTest.from_function(page_alone, default_timeout=120)
    test.query_params.update(QUICK)
    sampling = Sampling(0.0, None, 2, 64)
    test.session_state["shown"] = Choice(
        "composed-twins.mp4", None, sampling, "lite-nl", "cpu", None
    )
    test.run()
    well(test)
    the(test.selectbox, "dn_block").set_value("stage4").run()
    well(test)
    assert "lite-nl, stage4" in [o for o in the(test.selectbox, "dn_other").options]
    the(test.segmented_control, "dn_kind").set_value("Explore").run()
    well(test)
    assert "composed-twins.mp4" in texts(test)
    assert address(test) == {}  # without a view of Explore, none that would open it
    frame = the(test.slider, "dn_frame")
    assert (frame.min, frame.max, frame.value) == (1, 2, 1)
    frame.set_value(2).run()
    well(test)
    assert test.session_state["denoise"].frame == 1


def test_the_command_on_the_page_prints_its_table() -> None:
    import shlex

    from typer.testing import CliRunner

    from nlviz import cli

    test = page({**QUICK, "sigma": "35", "seed": "6", "set": "gaussian.spatial:1.7", "grey": "1"})
    well(test)
    _, *arguments = shlex.split(test.code[0].value)
    run = CliRunner().invoke(cli.app, arguments)
    assert run.exit_code == 0, run.output
    printed = {line.split()[0]: line for line in run.stdout.splitlines()}
    shown = table(test)
    for name, label in (("gaussian", "Gaussian filter"), ("non-local-means", "Non-local means")):
        psnr, ssim = (re.sub(r"[ *★]", "", cell) for cell in shown[label][:2])
        assert f" {psnr}" in printed[name]
        assert f" {ssim}" in printed[name]


def test_an_address_names_the_clip_and_the_network_of_explore() -> None:
    explore = "clip=coffee.jpg&model=lite-nl&block=stage4&frames=1&size=240"
    test = page({**QUICK, "from": explore, "block": "stage4"})
    well(test)
    assert "The clip that is open in Explore: coffee.jpg" in texts(test)
    assert the(test.selectbox, "dn_block").value == "stage4"
    params = address(test)
    assert params["from"] == explore and "picture" not in params
    again = page(params)
    well(again)
    assert address(again) == params
    the(test.segmented_control, "dn_kind").set_value("Bundled").run()
    well(test)
    assert address(test)["picture"] == "cat.jpg" and "from" in address(test)
    the(test.selectbox, "dn_block").select_index(0).run()
    assert "from" not in address(test)
