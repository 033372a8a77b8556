"""A site: a folder of live views and the gallery that leads to them, for any web server.

``index.html`` the gallery, ``views/NAME.html`` a page for each view, ``README.md`` with the header
that makes the folder a static Space of Hugging Face, ``site.json`` which pages are nlviz' own.
Nothing is fetched, by the gallery or by a page; all of it works from disk.

A folder that is there is brought up to date in an order in which no page is ever missed: new pages,
then the gallery, then pages that nothing leads to any more are removed. Other files are left alone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nlviz.errors import NlvizError
from nlviz.files.local import digest_of, write_whole
from nlviz.progress import Listener
from nlviz.render.site_cards import Card, said
from nlviz.web.bundle import GALLERY
from nlviz.web.payloads.container import pack

FORMAT = "nlviz.site"
VERSION = 1
_LIST = "site.json"


def write_site(
    cards: Sequence[Card],
    folder: str | Path,
    *,
    title: str = "",
    about: str = "",
    licence: str = "",
    progress: Listener | None = None,
) -> Path:
    """Write a gallery of live views as a static folder.

    Args:
        cards: the live views, in their order; one that is given twice is shown once.
        folder: where to; made where it is not there. Files that are not of a site stay.
        title: of the gallery; "Live views", in the reader's language, where it is empty.
        about: a sentence below it.
        licence: of the pages.
        progress: called with a sentence and a share in [0, 1].

    Returns:
        The path of the gallery.

    Raises:
        NlvizError: when there is no view, the folder holds a page that nlviz did not write, or
            cannot be written; no page of a site that was there is then missing.

    >>> import tempfile
    >>> card = Card("page", "A page", b"<!doctype html>", "a-page-0")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     index = write_site([card], Path(folder) / "site")
    ...     sorted(p.relative_to(index.parent).as_posix() for p in index.parent.rglob("*.html"))
    ['index.html', 'views/a-page-0.html']
    """
    shown = list({card.name: card for card in cards}.values())
    if not shown:
        raise NlvizError("a site shows one view or more, none was given; name view files")
    folder = Path(folder)
    before = _before(folder)
    head = {"title": title, "about": about, "licence": licence, "cards": [said(c) for c in shown]}
    index = GALLERY.page(pack(head, {}), title=title or "Live views").encode()
    readme = _readme(title, licence).encode()
    try:
        (folder / "views").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise NlvizError(
            f"{str(folder)!r} cannot be made ({error.strerror}); name another folder"
        ) from None
    for number, card in enumerate(shown):
        write_whole(folder / "views" / f"{card.name}.html", card.page)
        if progress is not None:
            progress("Writing the pages", (number + 1) / (len(shown) + 1))
    files = {"index.html": index}
    if _is_ours(folder, "README.md", before):
        files["README.md"] = readme
    # The list names old and new pages until the old ones are gone.
    pages = [f"views/{card.name}.html" for card in shown]
    old = [page for page in before.get("pages", []) if page not in pages]
    _list(folder, [*pages, *old], files)
    for name, content in files.items():
        write_whole(folder / name, content)
    for page in old:
        (folder / page).unlink(missing_ok=True)
    _list(folder, pages, files)
    return folder / "index.html"


def _before(folder: Path) -> dict[str, Any]:
    """Return what a site that is there says of itself.

    Raises:
        NlvizError: when the folder is a file, or holds a gallery that nlviz did not write.
    """
    if folder.exists() and not folder.is_dir():
        raise NlvizError(f"a site is a folder, {str(folder)!r} is a file; name another")
    try:
        found = json.loads((folder / _LIST).read_text("utf-8"))
        if found["format"] == FORMAT and all(_is_page(page) for page in found["pages"]):
            return dict(found)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    if (folder / "index.html").exists():
        raise NlvizError(
            f"{str(folder)!r} holds an index.html that nlviz did not write, and that would be "
            "lost; move it away, or name another folder"
        )
    return {}


def _is_page(page: Any) -> bool:
    """Return whether a name is that of a page in the folder of pages, and leads nowhere else."""
    parts = str(page).split("/")
    return len(parts) == 2 and parts[0] == "views" and parts[1].endswith(".html")


def _is_ours(folder: Path, name: str, before: dict[str, Any]) -> bool:
    """Return whether a file may be written: it is not there, or is as a site wrote it."""
    try:
        digest = digest_of(folder / name)
    except OSError:
        return True
    return bool(digest == before.get("files", {}).get(name))


def _list(folder: Path, pages: list[str], files: dict[str, bytes]) -> None:
    told = {
        "format": FORMAT,
        "version": VERSION,
        "pages": pages,
        "files": {name: digest_of(content) for name, content in files.items()},
    }
    write_whole(folder / _LIST, (json.dumps(told, indent=1) + "\n").encode())


def _readme(title: str, licence: str) -> str:
    """Return the README that makes a folder a static Space; JSON strings are YAML, too."""
    named = title or "Live views"
    lines = [
        "---",
        f"title: {json.dumps(named, ensure_ascii=False)}",
        "emoji: 👁️",
        "colorFrom: indigo",
        "colorTo: yellow",
        "sdk: static",
        "app_file: index.html",
        "pinned: false",
        "---",
        "",
        f"# {named}",
        "",
        "Live views of where a network looks, each a page that works by itself. Made with nlviz.",
    ]
    if licence:
        lines += ["", f"Licence of these pages: {licence}"]
    return "\n".join(lines) + "\n"
