"""Reading a view file, of whichever page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nlviz.errors import InvalidView
from nlviz.views.compare_view import CompareView
from nlviz.views.denoise_view import DenoiseView
from nlviz.views.page_view import page_named, text_of_file, view_fields
from nlviz.views.view import View

PAGES: Mapping[str, type[View] | type[DenoiseView] | type[CompareView]] = {
    view.page: view for view in (View, DenoiseView, CompareView)
}


def read_view(path: str | Path) -> View | DenoiseView | CompareView:
    """Read a view file: of Explore, of the Denoise page or of A | B.

    Raises:
        InvalidView: when there is no such file, or it is not a view of this version.
    """
    path = Path(path)
    text = text_of_file(path)
    try:
        whole = view_fields(text)
        return page_named(whole["page"], PAGES).from_dict(whole)
    except InvalidView as error:
        raise InvalidView(f"{path.name}: {error}") from None
