"""The 30 views equal a plain loop over the frames of a real video file."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch

from nlviz.captures.model import Model
from nlviz.captures.thirty_views import sees_video, starts, thirty_views
from nlviz.errors import NlvizError, UnreadableClip
from nlviz.families.reading.adapter import InputSpec
from nlviz.resources import asset
from tests.footage import write_video
from tests.nets import clip_net, frame_net

SPEC = InputSpec(size=32, multiple=16, layout="clip", frames=4, stride=3)
LABELS = ("ant", "bee", "cat", "dog", "elk")


def model(spec: InputSpec = SPEC) -> Model:
    return Model(clip_net(), input_spec=spec, labels=LABELS)


def all_frames(data: bytes, size: int) -> np.ndarray:
    """Decode with plain PyAV and scale the shorter side, without nlviz."""
    import io

    out = []
    with av.open(io.BytesIO(data)) as container:
        for frame in container.decode(video=0):
            rgb = frame.to_ndarray(format="rgb24")
            h, w = rgb.shape[:2]
            to = (round(w * size / min(h, w)), round(h * size / min(h, w)))
            out.append(cv2.resize(rgb, to, interpolation=cv2.INTER_AREA))
    return np.stack(out)


def plain_loop(net: torch.nn.Module, frames: np.ndarray, size: int) -> np.ndarray:
    """Return (10, 3, classes): starts and crops written out, short videos repeat the last frame."""
    n, h, w, _ = frames.shape
    span = 3 * 3 + 1
    found = []
    for i in range(10):
        first = int(np.floor(i * max(n - span, 0) / 9 + 0.5))
        index = np.minimum(first + 3 * np.arange(4), n - 1)
        row = []
        for crop in (0, 1, 2):
            y = {0: 0, 1: int(np.ceil((h - size) / 2)), 2: h - size}[crop]
            x = {0: 0, 1: int(np.ceil((w - size) / 2)), 2: w - size}[crop]
            square = frames[index, y : y + size, x : x + size].astype(np.float32)
            square = (square - [123.675, 116.28, 103.53]) / [58.395, 57.12, 57.375]
            with torch.no_grad():
                logits = net(torch.from_numpy(square).float().permute(3, 0, 1, 2)[None])
            row.append(logits[0].softmax(0).numpy())
        found.append(row)
    return np.array(found)


@pytest.mark.parametrize(
    ("count", "size"),
    [(41, (64, 90)), (41, (100, 66)), (7, (64, 90)), (10, (64, 64))],
    ids=["wide", "high", "short", "square"],
)
def test_thirty_views_are_the_plain_loop(count: int, size: tuple[int, int]) -> None:
    data = write_video(frames=count, size=size)
    it = model()
    told: list[tuple[str, float]] = []
    found = thirty_views(it, data, size=48, progress=lambda *a: told.append(a))
    want = plain_loop(it.net, all_frames(data, 48), 48)
    np.testing.assert_allclose(found.each.numpy(), want, atol=2e-5)
    np.testing.assert_allclose(found.probabilities.numpy(), want.mean((0, 1)), atol=2e-5)
    assert float(found.probabilities.sum()) == pytest.approx(1, abs=1e-5)
    best = want.mean((0, 1)).argmax()
    assert found.prediction(1)[0][0] == LABELS[best]
    assert found.agreeing() == pytest.approx((want.argmax(-1) == best).mean())
    distinct = 1 if count <= 10 else 10
    assert found.ran == distinct * (1 if size[0] == size[1] else 3)
    assert len(told) == found.ran + 1
    assert found.padded == max(10 - count, 0)
    assert ("last frame is repeated" in found.note) == (count < 10)
    shares = [share for _, share in told]
    assert shares == sorted(shares) and shares[-1] < 1


def test_the_views_differ_where_the_video_does() -> None:
    """The reference would also pass on a video that stands still; this one does not."""
    found = thirty_views(model(), write_video(frames=41, size=(64, 90)), size=48)
    assert (found.each[0] - found.each[9]).abs().max() > 1e-3
    assert (found.each[:, 0] - found.each[:, 2]).abs().max() > 1e-3
    assert list(found.starts) == sorted(set(found.starts))
    assert found.starts[0] == 0 and found.starts[-1] == pytest.approx(3.1)


def test_files_and_bytes_and_frame_networks_are_the_same(tmp_path: Path) -> None:
    data = write_video(frames=20, size=(64, 90))
    path = tmp_path / "bar.mp4"
    path.write_bytes(data)
    spec = InputSpec(size=32, multiple=16, layout="frames", frames=3, stride=2)
    it = Model(frame_net(), input_spec=spec)
    a, b = (thirty_views(it, v, clips=3, crops=2, size=32) for v in (path, data))
    assert a.each.shape == (3, 2, 5)
    assert torch.equal(a.each, b.each)
    assert a.prediction(2)[0][0].startswith("class ")


def test_it_can_be_stopped_between_views_and_holds_one_clip() -> None:
    it = model()
    seen: list[str] = []

    def stop(sentence: str, share: float) -> None:
        seen.append(sentence)
        if len(seen) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        thirty_views(it, write_video(frames=30), size=32, progress=stop)
    assert seen[-1].startswith("View 3 of at most 30")


def test_what_cannot_be_viewed_is_said() -> None:
    data = write_video(frames=12)
    unknown = Model(clip_net(), input_spec=InputSpec(size=32, multiple=16, layout="clip"))
    assert not sees_video(unknown) and sees_video(model())
    with pytest.raises(NlvizError, match="give frames= and stride="):
        thirty_views(unknown, data)
    assert thirty_views(unknown, data, clips=1, crops=1, size=32, frames=4, stride=1).ran == 1
    with pytest.raises(NlvizError, match="clips must be at least 1, got 0"):
        thirty_views(model(), data, clips=0)
    with pytest.raises(UnreadableClip, match="no file"):
        thirty_views(model(), "nothing.mp4")
    with pytest.raises(UnreadableClip):
        thirty_views(model(), b"text, not a video")
    with pytest.raises(NlvizError, match="stride must be at least 1, got 0"):
        thirty_views(model(), data, stride=0)
    still = thirty_views(model(), asset("photos/coffee.jpg"), size=32)
    assert (still.ran, still.padded) == (3, 9)  # a picture is a video of one frame


def test_clips_cover_the_video_evenly() -> None:
    for total in (61, 62, 150, 301):
        found = starts(total, span=61, clips=10)
        assert found[0] == 0 and found[-1] == total - 61
        steps = np.diff(found)
        assert steps.max() - steps.min() <= 1
