"""Many threads over one model: no capture gets another one's clip."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from nlviz.captures.model import Capture, Model
from tests.nets import FRAMES, frame_net, noise_clip

THREADS, CAPTURES = 8, 50


@pytest.mark.slow
def test_no_captures_are_mixed_up() -> None:
    net = frame_net()
    models = [Model(net, input_spec=FRAMES) for _ in range(2)]  # two views of one network
    clips = [noise_clip(2, 32, 48, seed=i) for i in range(THREADS)]
    alone = [models[0].capture(clip) for clip in clips]
    start = threading.Barrier(THREADS)

    def visit(visitor: int) -> list[Capture]:
        start.wait()
        return [models[i % 2].capture(clips[visitor]) for i in range(CAPTURES)]

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(visit, range(THREADS)))
    for visitor, captures in enumerate(found):
        want = alone[visitor].affinities["layer1"]
        for got in captures:
            assert got.clip is clips[visitor]
            assert torch.equal(got.logits, alone[visitor].logits)
            assert torch.equal(got.affinities["layer1"].theta, want.theta)
            assert torch.equal(got.affinities["layer1"].output, want.output)
    # and they do differ between visitors
    assert not torch.equal(alone[0].logits, alone[1].logits)
    assert not any(
        type(h).__name__ != "_Inserted" for m in net.modules() for h in m._forward_hooks.values()
    )


def test_another_threads_plain_forward_does_not_disturb_a_capture() -> None:
    net = frame_net()
    model = Model(net, input_spec=FRAMES)
    clip = noise_clip(2, 32, 48)
    want = model.capture(clip).affinities["layer1"].theta
    done = threading.Event()

    def run() -> None:
        with torch.no_grad():
            while not done.is_set():
                net(torch.zeros(1, 3, 64, 64))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        for _ in range(20):
            assert torch.equal(model.capture(clip).affinities["layer1"].theta, want)
    finally:
        done.set()
        thread.join()


def test_rows_of_one_capture_can_be_read_by_many_threads() -> None:
    affinity = Model(frame_net(), input_spec=FRAMES).capture(noise_clip()).affinities["layer1"]
    want = affinity.dense()
    with ThreadPoolExecutor(THREADS) as pool:
        rows = list(pool.map(lambda i: affinity.rows([i])[:, 0], range(affinity.queries.size)))
        columns = list(pool.map(affinity.column, range(0, affinity.keys.size, 7)))
    torch.testing.assert_close(torch.stack(rows, 1), want)
    torch.testing.assert_close(torch.stack(columns, 2), want[:, :, ::7])
