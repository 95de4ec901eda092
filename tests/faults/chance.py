"""Kills at random, the same again for the same seed as far as processes let themselves be repeated."""

import math
import os
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

LONGEST_PAUSE = 2.0

Kill = Callable[[], None]
"""Kills something, and starts it again."""


def a_while(choice: random.Random, longest: float) -> None:
    """Let a random time go by; nothing is waited for, because when something happens is what is tried out."""
    threading.Event().wait(choice.uniform(0, longest))


@dataclass
class Chance:
    """A seeded sequence of kills; FAULT_SEED repeats one, FAULT_SECONDS says how long it lasts."""

    seed: int
    seconds: float
    history: list[str] = field(default_factory=list)

    @classmethod
    def of_environment(cls) -> "Chance":
        seed = int(os.environ.get("FAULT_SEED") or random.SystemRandom().randrange(10**6))
        return cls(seed, float(os.environ.get("FAULT_SECONDS", "90")))

    def __post_init__(self) -> None:
        self._choice = random.Random(self.seed)
        self._began: float | None = None

    @property
    def over(self) -> bool:
        return self._elapsed > self.seconds

    def strike(self, targets: Mapping[str, Kill], longest: float = math.inf) -> None:
        """Kill one target after the other until the time is over, or so much of it."""
        self._began = self._began or time.monotonic()
        until = self._elapsed + longest
        while self._elapsed < until and not self.over:
            a_while(self._choice, LONGEST_PAUSE)
            name = self._choice.choice(list(targets))
            self.history.append(f"{self._elapsed:.0f} {name}")
            targets[name]()

    @property
    def _elapsed(self) -> float:
        return 0.0 if self._began is None else time.monotonic() - self._began
