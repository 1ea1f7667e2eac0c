"""What is said of many measurements: quantiles without interpolation, and the median with its spread."""

from __future__ import annotations

import statistics
from collections.abc import Sequence


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that so large a share of all is not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def shown(values: Sequence[float]) -> str:
    """median (least to most), as many digits as it deserves."""
    if not values:
        return "-"
    middle, low, high = (rounded(value) for value in (statistics.median(values), min(values), max(values)))
    return middle if low == high else f"{middle} ({low} to {high})"


def rounded(value: float) -> str:
    """Three digits, or all of those before the point."""
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 0.1 or size == 0 else 3
    return f"{value:,.{digits}f}"
