"""What time it is, in the unit of every record: milliseconds since 1970, UTC."""

from __future__ import annotations

import time

__all__ = ["now_ms"]


def now_ms(given: int | None = None) -> int:
    """A time that was given, or the system's.

    Args:
        given: milliseconds since 1970; None for now.
    """
    return time.time_ns() // 1_000_000 if given is None else given
