"""How a recording opens in the viewer of Rerun: picture, overlay and map abreast, curves below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nlviz.affinity.attention_map import AttentionMap
from nlviz.render.moving_pictures import pace
from nlviz.render.shown import Shown


def layout(drawn: Shown, heads: Mapping[int, AttentionMap]) -> Any:
    """Return the blueprint of a recording.

    Args:
        drawn: what is shown.
        heads: the maps of the heads that it holds, by number.
    """
    import rerun.blueprint as rrb

    _, height, width = drawn.clip.shape
    bounds = rrb.VisualBounds2D(x_range=[0, width], y_range=[0, height])

    def picture(name: str, *contents: str) -> Any:
        return rrb.Spatial2DView(
            origin="clip", contents=list(contents), name=name, visual_bounds=bounds
        )

    marks = ["clip/query/**", "clip/links/**"]
    pictures = [
        picture("Frames and links", "clip/frames", *marks),
        picture("Overlay", "clip/overlay"),
        picture("Map", "clip/map", "clip/query/**"),
    ]
    if heads:
        each = [
            rrb.Spatial2DView(
                origin=f"heads/{n:02d}",
                contents=["$origin/**"],
                name=f"Head {n + 1}",
                visual_bounds=bounds,
            )
            for n in heads
        ]
        pictures.append(rrb.Grid(*each, name="All heads"))
    first: Any = rrb.Horizontal(*pictures[:3])
    if heads:
        first = rrb.Tabs(rrb.Horizontal(*pictures[:3], name="One row"), pictures[3], active_tab=0)
    curves, legend = [], rrb.Corner2D.RightTop
    if drawn.look.scale.of_weights:
        curves.append(
            rrb.TimeSeriesView(
                origin="row",
                contents=["row/share", "row/uniform"],
                name="Share of each frame",
                plot_legend=legend,
            )
        )
    curves.append(
        rrb.TimeSeriesView(
            origin="row", contents=["row/strongest"], name="Strongest key", plot_legend=legend
        )
    )
    about = rrb.TextDocumentView(origin="about", name="What is shown")
    below = rrb.Horizontal(*curves, about)
    moving = len(drawn.clip.frames) > 1
    return rrb.Blueprint(
        rrb.Vertical(first, below, row_shares=[3, 2]),
        rrb.TimePanel(
            state="collapsed",
            timeline="time" if moving else "frame",
            fps=pace(drawn.clip),
            play_state="paused",
            loop_mode="all" if moving else "off",
        ),
        rrb.BlueprintPanel(state="collapsed"),
        rrb.SelectionPanel(state="collapsed"),
        auto_layout=False,
        auto_views=False,
    )
