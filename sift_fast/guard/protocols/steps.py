"""Work that asks a guard, written once for frameworks that call with an event loop and without one.

A generator yields the name of a method of `Guard` and its arguments and is sent what it answers; what it returns is the
result of the work.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from sift_fast.guard.guard import Guard

__all__ = ["Steps", "drive", "drive_async"]

Steps: TypeAlias = Generator[tuple[Any, ...], Any, Any]


def drive(guard: Guard, steps: Steps) -> Any:
    """Do the work without an event loop; blocks while guardrails wait."""
    answer = None
    while True:
        try:
            name, *arguments = steps.send(answer)
        except StopIteration as end:
            return end.value
        answer = getattr(guard, f"{name}_sync")(*arguments)


async def drive_async(guard: Guard, steps: Steps) -> Any:
    """Do the work in an event loop."""
    answer = None
    while True:
        try:
            name, *arguments = steps.send(answer)
        except StopIteration as end:
            return end.value
        answer = await getattr(guard, name)(*arguments)
