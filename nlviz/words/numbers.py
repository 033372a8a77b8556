"""Numbers in words: multiples, shares, changes."""

from __future__ import annotations


def multiple_text(multiple: float) -> str:
    """Return a multiple of uniform attention in words.

    >>> multiple_text(864.2), multiple_text(5.0), multiple_text(0.001)
    ('864×', '5×', '<0.01×')
    """
    size = abs(multiple)
    if 0 < size < 0.005:
        return "<0.01×" if multiple > 0 else ">-0.01×"
    digits = 0 if size >= 10 else 1 if size >= 1 else 2
    text = f"{multiple:.{digits}f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + "×"


def number_text(value: float) -> str:
    """Return a weight or a logit with the digits that matter.

    >>> number_text(0.00012), number_text(12.34), number_text(0.0)
    ('1.2e-04', '12.3', '0')
    """
    size = abs(value)
    if size == 0:
        return "0"
    if size < 1e-3 or size >= 1e5:
        return f"{value:.1e}"
    return f"{value:.{0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 4}f}"


def change_text(share: float) -> str:
    r"""Return a gain or a loss in percent of a whole row.

    >>> change_text(0.054), change_text(-0.004), change_text(0.00001)
    ('+5.4\xa0%', '-0.4\xa0%', '0\xa0%')
    """
    percent = 100 * share
    if abs(percent) < 0.05:
        return "0\u00a0%"
    return f"{percent:+.{0 if abs(percent) >= 9.95 else 1}f}\u00a0%"


def percent_text(share: float) -> str:
    r"""Return a share in percent, with a space that does not break.

    >>> percent_text(0.254), percent_text(0.003), percent_text(0)
    ('25\xa0%', '<1\xa0%', '0\xa0%')
    """
    return "<1\u00a0%" if 0 < share < 0.0095 else f"{100 * share:.0f}\u00a0%"
