"""Languages of what the browser says, and their tables.

The tables are modules of the browser's script whose braces hold JSON: one list for both sides.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

LANGUAGES = {"en": "English", "zh": "中文", "ja": "日本語"}
"""Each language in its own name, by code; Chinese is in simplified characters."""

_FOLDER = Path(__file__).with_name("languages")


def language_of(tag: str | None) -> str | None:
    """Return the code of the language that a tag means, or None where it is none of ours.

    Args:
        tag: such as a browser sends: "zh-CN", "zh-Hant-TW", "ja_JP", "en".

    >>> language_of("zh-Hant-TW"), language_of("ja_JP"), language_of("fr"), language_of(None)
    ('zh', 'ja', None, None)
    """
    code = (tag or "").strip().lower().replace("_", "-").split("-")[0]
    return code if code in LANGUAGES else None


def translations(language: str) -> dict[str, str]:
    """Return the translations of what the browser says, by its English.

    Args:
        language: a code; English has no table, as it is the key.

    Raises:
        KeyError: there is no such language.

    >>> translations("en"), translations("ja")["Language"]
    ({}, '言語')
    """
    if language not in LANGUAGES:
        raise KeyError(f"language is one of {', '.join(LANGUAGES)}, not {language!r}")
    return {} if language == "en" else _table(language)


@cache
def _table(language: str) -> dict[str, str]:
    text = (_FOLDER / f"{language}.js").read_text(encoding="utf-8")
    table: dict[str, str] = json.loads(text[text.index("{") : text.rindex("}") + 1])
    return table
