"""Memory that many threads freed goes back to the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nlviz.captures import freed_memory

# Buffers below the size from which the C library maps each alone, freed in many threads except for
# one in ten: what is left lies on few pages, what was freed on the others.
_PROGRAM = """
import threading, time
from pathlib import Path
from nlviz.captures.freed_memory import give_back

def resident():
    line = next(l for l in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in l)
    return int(line.split()[1]) // 1024

kept, turn = [], threading.Barrier(4)
def work():
    turn.wait()
    made = [bytearray(b"x" * 100_000) for _ in range(500)]
    kept.append(made[::10])

threads = [threading.Thread(target=work) for _ in range(4)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
before = resident()
assert give_back()
assert not give_back()  # at once again
after = resident()
made = []
more = threading.Thread(target=lambda: made.extend(bytearray(b"y" * 100_000) for _ in range(500)))
more.start(), more.join()
made[:] = made[::10]
full = resident()
give_back()
end = time.monotonic() + 20  # what was asked for at once again comes by itself
while resident() > full - 20 and time.monotonic() < end:
    time.sleep(0.05)
print(before, after, full, resident())
"""


@pytest.mark.skipif(freed_memory._trim() is None, reason="the C library here has no malloc_trim")
def test_freed_memory_goes_back_now_and_then() -> None:
    out = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True)
    before, after, full, last = map(int, out.stdout.split())
    assert after < before - 80, out  # MiB, of 171 that were freed
    assert last <= full - 20, out  # of 43


def test_a_system_without_the_call_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freed_memory, "_trim", lambda: None)
    assert not freed_memory.give_back()
