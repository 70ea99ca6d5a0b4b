"""Shares, counts and times as tables show them: what is small keeps its digits and isn't a 0."""


def share(value: float) -> str:
    """A share as a percentage with two decimals, or two digits: "2.20%", "0.0049%"."""
    percent = 100 * value
    return f"{percent:.2f}%" if percent >= 0.1 or percent == 0 else f"{percent:.2g}%"


def count(value: float) -> str:
    """A mean count: "408", "12.5", "0.031"."""
    if value >= 100:
        return f"{value:.0f}"
    return (f"{value:.1f}" if value >= 1 or value == 0 else f"{value:.2g}").removesuffix(".0")


def duration(seconds: float) -> str:
    """A time in the largest unit of which it has at least one: "1.5 h", "1.5 min", "45 s"."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.2g} s" if seconds else "0 h"


def decimals(value: float, places: int) -> str:
    """A number with fixed decimals and thousands separators, or its first digit: "1,200.0"."""
    text = f"{value:,.{places}f}"
    return f"{value:.1g}" if value and not float(text.replace(",", "")) else text
