"""Pages one after another as a GIF or an H.264 video, at the pace of the clip they are of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
import numpy.typing as npt
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from PIL import Image

from nlviz.clips.clip import Clip
from nlviz.clips.graph import Graph
from nlviz.clips.text import Text

Picture = npt.NDArray[np.uint8]

PACE = (2.0, 6.0)  # frames per second
COMMENT = 2000  # bytes of a GIF's
STILL_SECONDS = 2.0  # how long a picture is shown as a video


def pace(clip: Clip) -> float:
    """Return frames per second: the clip's own pace where that lies between 2 and 6."""
    if isinstance(clip, (Text, Graph)):
        return PACE[0]  # of queries, one after the other
    steps = np.diff(clip.times)
    own = 1 / max(float(np.median(steps)), 1e-6) if steps.size else PACE[1]
    return round(min(max(own, PACE[0]), PACE[1]), 2)


def gif_of(pages: Sequence[Image.Image], clip: Clip, *, comment: str) -> bytes:
    """Return pages of indexed colours as a GIF that loops."""
    buffer = BytesIO()
    duration = round(1000 / pace(clip) / 10) * 10  # GIFs count hundredths of a second
    pages[0].save(
        buffer,
        "GIF",
        save_all=True,
        append_images=list(pages[1:]),
        duration=duration,
        loop=0,
        comment=comment.encode()[:COMMENT],
    )
    return buffer.getvalue()


def mp4_of(
    pages: Iterable[Picture], clip: Clip, *, title: str, comment: str, still: bool | None = None
) -> bytes:
    """Return pages (H, W, 3) of even sides as an MP4 that browsers and QuickTime play.

    H.264 of 8 bits in 4:2:0, even sides, a constant rate, BT.709 colours that stream and container
    both name, and the index at the front, so that it shows before all of it is there.

    Args:
        pages: the pictures.
        clip: what they are of; its frames' times tell the pace.
        title: of the movie.
        comment: on it.
        still: whether there is one page, which is shown for a while; by default where the clip is a
            picture.
    """
    rate = Fraction(pace(clip)).limit_denominator(100)
    still = len(clip.frames) == 1 if still is None else still
    with TemporaryDirectory() as folder:  # the index moves to the front in a second pass
        path = Path(folder) / "movie.mp4"
        with av.open(str(path), "w", format="mp4", options={"movflags": "faststart"}) as container:
            container.metadata["title"] = title
            container.metadata["comment"] = comment
            stream = container.add_stream("libx264", rate=rate)
            stream.pix_fmt = "yuv420p"
            codec = stream.codec_context
            codec.colorspace, codec.color_range = Colorspace.ITU709, ColorRange.MPEG
            codec.color_primaries, codec.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
            stream.options = {"crf": "18", "preset": "medium", "x264-params": "threads=2"}
            for page in pages:
                if not codec.is_open:
                    stream.height, stream.width = page.shape[:2]
                for _ in range(round(STILL_SECONDS * rate) if still else 1):
                    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(page), format="rgb24")
                    frame = frame.reformat(
                        format="yuv420p",
                        dst_colorspace=Colorspace.ITU709,
                        dst_color_range=ColorRange.MPEG,
                    )
                    container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path.read_bytes()
