"""Ctrl-C that is never lost.

Python notes a signal at once, but raises ``KeyboardInterrupt`` before its next instruction only. A
signal that comes between the last instruction and a system call that blocks, such as a read from a
pipe, is noted while the call goes on: the program waits as if nothing had happened. The window is
narrow, and wide enough on a busy machine.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

AGAIN = 0.2  # seconds until a signal that was noted, but did not end a call, is sent again


@contextmanager
def interrupts_heard() -> Iterator[None]:
    """Send a noted SIGINT to the main thread again until it is raised as KeyboardInterrupt.

    Does nothing where SIGINT is ignored or handled by somebody else, in other threads, and on
    systems that cannot send a signal to a thread.

    >>> with interrupts_heard():
    ...     print("at work")
    at work
    """
    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    in_main = threading.current_thread() is threading.main_thread()
    if not (usual and in_main and hasattr(signal, "pthread_kill")):
        yield
        return
    heard = threading.Event()
    main = threading.get_ident()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def raised(number: int, frame: FrameType | None) -> None:
        heard.set()
        signal.default_int_handler(number, frame)

    def watch() -> None:
        while noted := os.read(reader, 1):
            if noted[0] == signal.SIGINT:
                while not heard.wait(AGAIN):
                    signal.pthread_kill(main, signal.SIGINT)
                return  # whoever was interrupted leaves

    watcher = threading.Thread(target=watch, name="interrupts", daemon=True)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    signal.signal(signal.SIGINT, raised)
    watcher.start()
    try:
        yield
    finally:
        heard.set()
        if signal.getsignal(signal.SIGINT) is raised:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        replaced = signal.set_wakeup_fd(before)
        if replaced != writer:  # somebody else's by now, and to be kept
            signal.set_wakeup_fd(replaced)
        os.close(writer)
        watcher.join()
        os.close(reader)
