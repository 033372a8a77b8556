"""Packets from which decoding may begin, read from their first bytes.

A container marks key frames. In H.264 and HEVC that says too little: decoding is exact from an
instantaneous refresh (IDR) on, from a random access picture of HEVC (ITU-T H.265, 7.4.2.2), or from
a recovery point of H.264 that needs no frame to recover and says that it is exact (ITU-T H.264,
D.2.8). Refresh that is spread over frames is none of these.
"""

from __future__ import annotations

from collections.abc import Iterator

# Codecs whose frames, from a key frame on, do not look back beyond it.
RESTARTING = frozenset(
    "av1 ffv1 flv1 h263 h264 hevc mpeg1video mpeg2video mpeg4 msmpeg4v2 msmpeg4v3 theora vp8 vp9 "
    "wmv1 wmv2".split()
)
_SEI, _IDR, _SLICES = 6, 5, (1, 2, 5)  # kinds of units of H.264
_RECOVERY_POINT = 6
_START = b"\0\0\1"
_VOP, _B_VOP = b"\0\0\1\xb6", 2  # of MPEG-4 (ISO/IEC 14496-2, 6.3.5)
_BLANK = 20  # bytes


class Access:
    """Knows at which packets of a video track a decoder may begin.

    Args:
        codec: FFmpeg's name of the codec.
        intra_only: whether each frame of the codec stands for itself.
        extradata: the codec's parameters as the container stores them, or nothing.
    """

    def __init__(self, codec: str, intra_only: bool, extradata: bytes | None) -> None:
        self._codec = codec
        self._always = intra_only
        self._never = not intra_only and codec not in RESTARTING
        extradata = extradata or b""
        stored = len(extradata) > 22 and extradata[0] == 1  # lengths in place of start codes
        at = 4 if codec == "h264" else 21
        self._length = (extradata[at] & 3) + 1 if stored else 0

    def begins(self, packet: memoryview, marked: bool) -> bool:
        """Return whether frames from this packet's on can be decoded without those before."""
        if self._never or not marked:
            return False
        if self._always or self._codec not in ("h264", "hevc"):
            return True
        units = _units(bytes(packet), self._length)
        if self._codec == "hevc":
            return any(16 <= (unit[0] >> 1 & 63) <= 21 for unit in units)
        for unit in units:
            kind = unit[0] & 31
            if kind == _IDR or (kind == _SEI and _recovers_at_once(unit)):
                return True
            if kind in _SLICES:
                return False
        return False

    def between(self, packet: memoryview) -> bool | None:
        """Return whether an MPEG-4 packet holds one B-frame, False for one frame of another kind.

        It is None where more than one frame, or none for certain, is in it.
        """
        data = bytes(packet)
        at = data.find(_VOP)
        # Very short ones may be blanks, of which no frame is shown.
        if at < 0 or at + 4 >= len(data) or len(data) < _BLANK or _VOP in data[at + 4 :]:
            return None
        return data[at + 4] >> 6 == _B_VOP

    def hides(self, packet: memoryview) -> bool:
        """Return whether a packet only prepares others and no frame is shown of it."""
        return self._codec == "vp8" and not packet[0] >> 4 & 1


def _units(data: bytes, length: int) -> Iterator[bytes]:
    """Yield the first bytes of the units (NAL) of a packet."""
    head = 512  # of a unit; messages before a picture are shorter
    at = 0
    if length:
        while at + length < len(data):
            size = int.from_bytes(data[at : at + length], "big")
            at += length
            if size:
                yield data[at : at + min(size, head)]
            at += size
        return
    at = data.find(_START)
    while at >= 0 and at + 3 < len(data):
        end = data.find(_START, at + 3, at + 3 + head)
        yield data[at + 3 : end if end >= 0 else at + 3 + head]
        at = end if end >= 0 else data.find(_START, at + 3)


def _recovers_at_once(unit: bytes) -> bool:
    """Return whether a unit of messages (SEI) holds an exact recovery point of no frames."""
    data = unit[1:].replace(b"\0\0\3", b"\0\0")
    at = 0
    while at + 2 < len(data):
        kind, at = _long_number(data, at)
        size, at = _long_number(data, at)
        if kind == _RECOVERY_POINT and at < len(data):
            # Zero frames is the bit 1, exactness the next one.
            return data[at] >> 6 == 3
        at += size
    return False


def _long_number(data: bytes, at: int) -> tuple[int, int]:
    number = 0
    while at < len(data) and data[at] == 255:
        number, at = number + 255, at + 1
    return (number + data[at], at + 1) if at < len(data) else (number, at)
