"""Medians, deviations and quantiles of measured times. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

Number = int | float

#: The quantiles that a record keeps of single calls. Raw calls would be megabytes of JSON.
QUANTILES = (0.0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)


def quantile(values: Sequence[Number], q: float) -> float:
    """The `q` quantile of `values` (any order), linear between neighbours."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no values to take a quantile of")
    place = q * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (ordered[high] - ordered[low]) * (place - low))


def median(values: Sequence[Number]) -> float:
    """The middle of `values`."""
    return quantile(values, 0.5)


def mad(values: Sequence[Number]) -> float:
    """The median absolute deviation: a spread that one interrupted repetition does not move."""
    middle = median(values)
    return median([abs(value - middle) for value in values])


def spread(values: Sequence[Number]) -> dict[str, float]:
    """What a record keeps of many single values: count, mean, and the quantiles as `p50`, `p99.9`."""
    ordered = sorted(values)
    kept = {f"p{q * 100:g}": quantile(ordered, q) for q in QUANTILES}
    return {"n": float(len(ordered)), "mean": sum(ordered) / len(ordered), "mad": mad(ordered), **kept}
