import asyncio
from datetime import timedelta

import pytest

from service_chassis.aio import Remembered


class Made:
    """Makes numbers, one larger than the other, at a time that stands until it is moved."""

    def __init__(self) -> None:
        self.count = 0
        self.now = 0.0
        self.broken = False

    async def make(self) -> int:
        await asyncio.sleep(0)
        if self.broken:
            raise OSError
        self.count += 1
        return self.count

    def remembered(self) -> Remembered[int]:
        # Odd values last longer than even ones.
        return Remembered(self.make, lambda value: timedelta(seconds=10 if value % 2 else 1), lambda: self.now)


def test_a_value_is_made_once_for_all_who_ask_at_the_same_time() -> None:
    made = Made()
    value = made.remembered()

    async def ask() -> list[int]:
        return await asyncio.gather(*(value.get() for _ in range(10)))

    assert asyncio.run(ask()) == [1] * 10


def test_a_value_lasts_as_long_as_it_says() -> None:
    made = Made()
    value = made.remembered()

    async def ask() -> list[int]:
        values = []
        for made.now in (0, 9.9, 10, 10.9, 11):
            values.append(await value.get())  # The time moves between the questions.
        return values

    assert asyncio.run(ask()) == [1, 1, 2, 2, 3]


def test_a_failure_is_not_remembered() -> None:
    made = Made()
    value = made.remembered()
    made.broken = True

    async def ask() -> int:
        with pytest.raises(OSError):
            await value.get()
        made.broken = False
        return await value.get()

    assert asyncio.run(ask()) == 1
