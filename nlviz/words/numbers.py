"""Numbers in words: multiples, shares, changes.

``web/live_view/pure/words.js`` has the same functions; a test compares them value by value. Halves
are rounded away from zero in both, on the number that the float stands for.
"""

from __future__ import annotations

import math

from nlviz.sentences import fixed

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def multiple_text(multiple: float) -> str:
    """Return a multiple of uniform attention in words.

    >>> multiple_text(864.2), multiple_text(5.0), multiple_text(0.001)
    ('864×', '5×', '<0.01×')
    """
    size = abs(multiple)
    if 0 < size < 0.005:
        return "<0.01×" if multiple > 0 else ">-0.01×"
    return f"{_short(multiple, 0 if size >= 10 else 1 if size >= 1 else 2)}×"


def number_text(value: float) -> str:
    """Return a weight or a logit with the digits that matter.

    >>> number_text(0.00012), number_text(12.34), number_text(0.0), number_text(1234567.0)
    ('0.00012', '12.3', '0', '1.2·10^6')
    """
    size = abs(value)
    if size == 0:
        return "0"
    if size < 1e-6:
        return "<0.000001" if value > 0 else ">-0.000001"
    if size < 1e-3:
        return _short(value, 1 - math.floor(math.log10(size)))
    if size >= 1e5:
        exponent = math.floor(math.log10(size))
        return f"{fixed(value / 10.0**exponent, 1)}·10^{exponent}"
    return fixed(value, 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3)


def power_text(value: float) -> str:
    """Return a small number as one digit and a power of ten.

    >>> power_text(4.7e-7), power_text(0.0), power_text(9.7e-5), power_text(0.031)
    ('5·10⁻⁷', '0', '1·10⁻⁴', '0.03')
    """
    size = abs(value)
    if size == 0 or not math.isfinite(size):
        return "0" if size == 0 else "–"
    exponent = math.floor(math.log10(size))
    digit = fixed(value / 10.0**exponent, 0)
    if digit.endswith("10"):
        digit, exponent = digit[:-1], exponent + 1
    if exponent >= -2:
        return fixed(value, max(-exponent, 0))
    return f"{digit}·10{str(exponent).translate(RAISED)}"


def change_text(share: float, *, space: str = "\u00a0") -> str:
    r"""Return a gain or a loss in percent of a whole row.

    >>> change_text(0.054), change_text(-0.004), change_text(0.00001)
    ('+5.4\xa0%', '-0.4\xa0%', '0\xa0%')
    """
    percent = 100 * share
    if abs(percent) < 0.05:
        return f"0{space}%"
    sign = "+" if percent > 0 else ""
    return f"{sign}{fixed(percent, 0 if abs(percent) >= 9.95 else 1)}{space}%"


def fine_percent_text(share: float) -> str:
    """Return a share in percent, with a decimal below 10 %, after a plain space.

    >>> fine_percent_text(0.254), fine_percent_text(0.0341), fine_percent_text(0.0004)
    ('25 %', '3.4 %', '<0.1 %')
    """
    percent = 100 * share
    if 0 < percent < 0.1:
        return "<0.1 %"
    return f"{fixed(percent, 0 if percent >= 10 or percent == 0 else 1)} %"


def percent_text(share: float, *, space: str = "\u00a0") -> str:
    r"""Return a share in percent, by default with a space that does not break.

    >>> percent_text(0.254), percent_text(0.025), percent_text(0.003), percent_text(0)
    ('25\xa0%', '3\xa0%', '<1\xa0%', '0\xa0%')
    """
    percent = 100 * share
    return f"<1{space}%" if 0 < percent < 0.95 else f"{fixed(percent, 0)}{space}%"


def _short(value: float, digits: int) -> str:
    """Format a number as ``fixed`` does, without zeros at the end of its decimals."""
    text = fixed(value, digits)
    return text.rstrip("0").rstrip(".") if "." in text else text
