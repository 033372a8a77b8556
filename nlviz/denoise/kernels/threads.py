"""Work in threads, step by step, so that the caller hears of each step and can end it all."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Task = TypeVar("Task")


def steps_of(
    compute: Callable[[Task], Iterator[None]], tasks: list[Task], total: int, threads: int
) -> Iterator[None]:
    """Yield whenever a step of a task is done; leaving the loop stops the threads.

    Args:
        compute: does a task and yields after each of its steps.
        tasks: in the order in which they are begun.
        total: steps of all tasks together.
        threads: how many do the work; one is the caller's own.

    >>> len(list(steps_of(lambda task: iter([None] * task), [2, 3], 5, threads=2)))
    5
    """
    if threads == 1:
        for task in tasks:
            yield from compute(task)
        return
    steps: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
    stopped = threading.Event()

    def work(task: Task) -> None:
        try:
            for _ in () if stopped.is_set() else compute(task):
                steps.put(None)
                if stopped.is_set():
                    return
        except BaseException as error:
            steps.put(error)

    with ThreadPoolExecutor(min(threads, len(tasks))) as pool:
        try:
            for task in tasks:
                pool.submit(work, task)
            for _ in range(total):
                error = steps.get()
                if error is not None:
                    raise error
                yield
        finally:
            stopped.set()
