"""The list of variants: each is named in one place, from which everything else follows."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from itertools import groupby
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nlviz.affinity.variants import UNARY, VARIANTS, Variant, variant_of
from nlviz.cli import app
from nlviz.views.display import SOURCES, Display

PROJECT = Path(__file__).parents[2]
# Words that are keys of variants and also mean something else: a flag or part of a network, a kind
# of tensor (and the example of a view, and a command), a pairwise function and the unit of its
# colours, a state of health, a field of a model card, what the nodes of a graph hold, attention
# between two texts.
# Figures and answers of lessons have names of their own.
OF_LESSONS = {
    *("nlviz/web/lesson/*", "nlviz/web/lesson_pages.py"),
    "nlviz/recipes/lessons/*",
}
# Columns of a survey's rows, and what labels and pages say of them.
OF_SURVEYS = {"nlviz/surveys/*", "nlviz/web/survey/*", "nlviz/web/survey_page.py", "app/survey/*"}
HOMONYMS = {
    "learned": {"nlviz/recipes/*", "app/compare/*"},
    "cross": {"nlviz/families/sequence.py", "app/compare/sides.py"},
    "rollout": {"app/compare/sides.py"},
    "unary": {"nlviz/analysis/mean_position.py"},
    "position": {
        "nlviz/web/live_view/pure/formulas.js",  # whose formula is its own
        # What a map follows from, and the questions of that name.
        *("app/explore/asks/*", "nlviz/analysis/*", "nlviz/recipes/*"),
        "nlviz/words/map_verdict.py",
    },
    "features": {
        *("nlviz/captures/*", "nlviz/render/save.py", "nlviz/words/*"),
        *("nlviz/cli/__init__.py", "nlviz/cli/features.py", "nlviz/zoo/load.py"),
        *("nlviz/render/feature_colours.py", "nlviz/recipes/feature_bank.py"),
        *("nlviz/clips/graph.py", "nlviz/recipes/graph_attention.py", "app/explore/sidebar.py"),
        *("nlviz/networks/trunk_cells.py", "app/compare/choices.py"),
        "app/explore/asks/deletion.py",
    },
    # clips that are put together
    "composed": {"nlviz/recipes/feature_bank.py", "app/compare/sides.py", "nlviz/recipes/survey_*"},
    "cosine": {
        *("nlviz/affinity/pairwise.py", "nlviz/affinity/feature_map.py"),
        *("nlviz/analysis/controls.py", "nlviz/render/colour_scale.py", "nlviz/render/movie.py"),
        *("nlviz/words/health.py", "nlviz/words/keys.py", "nlviz/web/live_view/pure/*.js"),
        *("nlviz/render/compared.py", "nlviz/render/recording.py"),
    },
    "untrained": {
        *("nlviz/analysis/health.py", "nlviz/words/health.py", "nlviz/words/map_verdict.py"),
        "nlviz/recipes/*",
    },
    "nl_means": {
        *(
            "nlviz/affinity/pairwise.py",
            "nlviz/affinity/patches.py",
            "nlviz/families/reading/flags.py",
        ),
        *("nlviz/denoise/affinities.py", "nlviz/denoise/registry.py"),
        "app/explore/asks/deletion.py",
        "nlviz/web/payloads/denoise_view.py",
    },
    "pairwise": {
        *("nlviz/captures/affinity_format.py", "nlviz/web/payloads/sources.py"),
        *("nlviz/zoo/warnings.py", "nlviz/networks/*", "nlviz/families/*"),
        "nlviz/recipes/*",
    },
}
HERE = "nlviz/affinity/variants.py"


def files_that_name(key: str) -> set[str]:
    quoted = re.compile(rf"""["'`]{key}["'`]""")
    files = [
        p
        for room in ("nlviz", "app")
        for s in ("py", "js")
        for p in (PROJECT / room).rglob(f"*.{s}")
    ]
    return {
        str(path.relative_to(PROJECT)) for path in files if quoted.search(path.read_text("utf-8"))
    }


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: v.key)
def test_a_variant_is_named_in_one_place(variant: Variant) -> None:
    apart = HOMONYMS.get(variant.key, set()) | OF_LESSONS | OF_SURVEYS
    found = files_that_name(variant.key)
    assert {name for name in found if not any(fnmatch(name, one) for one in apart)} == {HERE}


def test_what_follows_from_the_list() -> None:
    keys = tuple(variant.key for variant in VARIANTS)
    assert keys == SOURCES
    assert len(set(keys)) == len({v.label for v in VARIANTS}) == len(keys)
    assert Display().source == keys[0]
    assert all(variant_of(key) is variant for key, variant in zip(keys, VARIANTS, strict=True))
    assert [bool(v.caption) for v in VARIANTS] == [False] + [True] * (len(keys) - 1)
    shown = CliRunner().invoke(app, ["attend", "--help"], env={"COLUMNS": "200"}).output
    flat = " ".join(re.sub(r"[\u2500-\u257f]", " ", shown).split())
    assert f"{', '.join(keys[:-1])} or {keys[-1]}." in flat


def test_parts_stand_together() -> None:
    parts = [variant.part for variant in VARIANTS]
    assert [part for part, _ in groupby(parts)] == [False, True, False]
    assert UNARY.split == "shared"
