"""Denied topics by example: a small classifier for each, learned from the sentences of the configuration.

It can only tighten: what phrases deny is denied whatever it says, and what is allowed is said by phrases alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from sift_fast import _core
from sift_fast.guard._checks import Call, Check
from sift_fast.guard.verdict import Signal

if TYPE_CHECKING:
    from sift_fast.guard.config import TopicsConfig

__all__ = ["Samples", "TopicExamples", "learn", "samples"]


class Samples(NamedTuple):
    """What one topic is learned from."""

    belong: tuple[str, ...]
    others: tuple[str, ...]


def samples(table: TopicsConfig) -> dict[str, Samples]:
    """The denied topics that have examples. What stands for another topic does not belong to this one."""
    out = {}
    for name, topic in table.deny.items():
        if topic.examples:
            elsewhere = [
                text
                for other, entry in table.deny.items()
                if other != name
                for text in (*entry.examples, *entry.counter_examples)
            ]
            out[name] = Samples(topic.examples, (*topic.counter_examples, *table.others, *elsewhere))
    return out


def learn(table: TopicsConfig) -> dict[str, _core._TopicModel]:
    """A model for each of them; the same for the same table."""
    return {name: _core._TopicModel(*given) for name, given in samples(table).items()}


class TopicExamples(Check):
    """Texts that are likely to be about a denied topic."""

    joins = True

    def __init__(self, name: str, table: TopicsConfig, models: Mapping[str, _core._TopicModel]) -> None:
        super().__init__(name, table)
        self._topics = [(topic, model, table.deny[topic]) for topic, model in models.items()]

    def run(self, call: Call) -> Signal | None:
        """The topic that is furthest above its threshold. At the threshold the score is a half, and where it is certain
        one: settings that go by scores need not know the threshold.
        """
        best: Signal | None = None
        for topic, model, entry in self._topics:
            above = (model.score(call.text) - entry.threshold) / (1 - entry.threshold)
            score = 0.5 + above / 2
            if above >= 0 and (best is None or score > best.score):
                best = Signal("topics.resembles", score, rules=(f"{self.name}.{topic}",), message=entry.answer or None)
        return best
