"""Make the bundled live view that the app opens with.

It is what a fresh capture of the first clip by the first network gives on a CPU. Run it again when
the clip, the weights or the live view's bytes change; a test says when.

    python -m nlviz.recipes.first_view
"""

from __future__ import annotations

import nlviz
from nlviz.files.local import write_whole
from nlviz.resources import asset
from nlviz.web.bundled_view import CHANNEL, CLIP, FILE, FRAMES, MODEL


def made() -> bytes:
    """Return the bytes of a live view of a fresh capture."""
    clip = nlviz.read_clip(nlviz.bundled_inputs()[CLIP], frames=FRAMES)
    capture = nlviz.load_model(MODEL, device="cpu").capture(clip)
    return nlviz.web.live_view(capture, list(capture.affinities)[-1], channel=CHANNEL)


def main() -> None:
    """Write the file."""
    path = asset("README.md").parent / FILE
    path.parent.mkdir(exist_ok=True)
    payload = made()
    print(f"{write_whole(path, payload)}: {len(payload):,} bytes")


if __name__ == "__main__":
    main()
