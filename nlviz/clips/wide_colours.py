"""Films whose colours or light are wider than those of ordinary screens, shown on ordinary ones.

From R'G'B' to light by the film's transfer function, highlights rolled off, the primaries changed
to those of BT.709, and back to R'G'B' by sRGB's curve. SMPTE ST 2084 (PQ) and Hybrid Log-Gamma:
ITU-R BT.2100, tables 4 and 5; the roll-off: the EETF of ITU-R BT.2390, on the largest of R, G, B;
white of a screen: 203 cd/m2, ITU-R BT.2408.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from nlviz.clips.decoded import Frames

Numbers = npt.NDArray[np.float32]

WHITE = 203.0  # cd/m2 of a white sheet of paper
LINEAR, PQ, HLG = 8, 16, 18
PEAK = 1000.0  # cd/m2 of a film that does not say how bright it is mastered
HLG_GAMMA = 1.2  # of a screen of 1000 cd/m2
_STEPS = 4096

# x and y of red, green, blue and white, by their number in ITU-T H.273.
_D65 = (0.3127, 0.3290)
_PRIMARIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
}
_NAMES = {9: "BT.2020", 11: "DCI-P3", 12: "Display P3"}
# Curves that only displays tell apart: R'G'B' of these is taken for sRGB's.
_ORDINARY = {1, 2, 3, 4, 6, 13, 14, 15}


@dataclass(frozen=True)
class WideColours:
    """One kind of wide colours.

    Attributes:
        primaries: 1, 9, 11 or 12 of ITU-T H.273.
        transfer: its number there; 8 is linear, 16 is PQ, 18 is HLG, others are taken for sRGB's
            curve.
        peak: of the brightest light, in cd/m2; matters for PQ and HLG.
    """

    primaries: int
    transfer: int
    peak: float = PEAK

    @classmethod
    def between(
        cls, primaries: int, transfer: int, frame: Any, note: Callable[[str], None]
    ) -> WideColours | None:
        """Return how to show a frame of these tags, or None where it is shown as it is."""
        bright = transfer in (PQ, HLG)
        if transfer == LINEAR:
            note("The film's numbers are linear light; they were brought to sRGB's curve.")
            return cls(primaries if primaries in _PRIMARIES else 1, transfer)
        if not bright and primaries not in _NAMES:
            if transfer not in _ORDINARY and transfer not in (5, 7, 11, 12):
                note(
                    "The film's brightness follows an unusual curve (number "
                    f"{transfer} of ITU-T H.273), which is not undone; grey levels are as stored."
                )
            return None
        if not bright and transfer not in _ORDINARY:
            note(f"The film is in the colours of {_NAMES[primaries]}; they were not converted.")
            return None
        wide = primaries if primaries in _PRIMARIES else (9 if bright else 1)
        if bright:
            peak = _mastered_peak(frame) if transfer == PQ else PEAK
            kind = "PQ" if transfer == PQ else "HLG"
            note(
                f"The film is HDR ({kind}); highlights of up to {peak:.0f} cd/m² were rolled off "
                "to fit an ordinary screen (ITU-R BT.2390), so grey levels differ from the file's."
            )
            return cls(wide, transfer, peak)
        note(f"The film's colours were converted from {_NAMES[wide]} to those of BT.709.")
        return cls(wide, transfer)

    def shown(self, deep: npt.NDArray[Any]) -> Frames:
        """Return (H, W, 3) R'G'B' uint16 of this kind as sRGB uint8."""
        light, shares, matrix, encoded = _tables(self)
        rgb = light[deep]
        if self.transfer == HLG:
            # The system gamma of BT.2100: light on the screen from light in the scene.
            y = rgb @ np.array([0.2627, 0.6780, 0.0593], np.float32)
            rgb *= (np.maximum(y, 1e-6) ** np.float32(HLG_GAMMA - 1))[..., None]
            rgb *= np.float32(PEAK / WHITE)
        rgb = rgb @ matrix.T
        if shares is not None:  # on the largest of the shown R, G, B, so that hues stay
            top = np.maximum(rgb.max(-1), 0)
            most = np.float32(self.peak / WHITE)
            at = np.sqrt(np.minimum(top / most, 1)) * np.float32(_STEPS - 1)
            rgb *= shares[np.rint(at).astype(np.int32)][..., None]
        rgb = np.sqrt(np.clip(rgb, 0, 1))
        shown: Frames = encoded[np.rint(rgb * (_STEPS - 1)).astype(np.int32)]
        return shown


@lru_cache(8)
def _tables(
    kind: WideColours,
) -> tuple[Numbers, Numbers | None, Numbers, Frames]:
    """Return light by R'G'B', factors by brightness, the matrix, and sRGB by light.

    The last two tables run over the square root, which spends their steps as eyes do.
    """
    signal = np.arange(65536) / 65535
    roots = np.linspace(0, 1, _STEPS)
    shares = None
    if kind.transfer == PQ:
        light = _pq_light(signal) / WHITE
    elif kind.transfer == HLG:
        light = _hlg_scene(signal)
    elif kind.transfer == LINEAR:
        light = signal
    else:
        light = _srgb_light(signal)
    if kind.transfer in (PQ, HLG):
        before = np.maximum(roots**2 * kind.peak, 1e-6)
        shares = np.asarray(_rolled_off(before, kind.peak) / before, np.float32)
    matrix = np.linalg.solve(_to_xyz(1), _to_xyz(kind.primaries))
    encoded = np.rint(255 * _srgb_signal(roots**2)).astype(np.uint8)
    return light.astype(np.float32), shares, matrix.astype(np.float32), encoded


def _to_xyz(primaries: int) -> npt.NDArray[np.float64]:
    """Return the 3 x 3 matrix from light of these primaries to CIE XYZ, white at 1."""
    *colours, white = (np.array([x / y, 1, (1 - x - y) / y]) for x, y in _PRIMARIES[primaries])
    columns = np.stack(colours, axis=1)
    # White is taken for white: DCI's greenish one as well.
    return np.asarray(columns * np.linalg.solve(columns, white), np.float64)


def _pq_light(signal: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = signal ** (1 / m2)
    return np.asarray(1e4 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1), np.float64)


def _pq_signal(light: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    y = (light / 1e4) ** m1
    return np.asarray(((c1 + c2 * y) / (1 + c3 * y)) ** m2, np.float64)


def _hlg_scene(signal: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * np.log(4 * a)
    return np.asarray(
        np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12), np.float64
    )


def _srgb_light(signal: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.asarray(
        np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4), np.float64
    )


def _srgb_signal(light: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    return np.asarray(
        np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055), np.float64
    )


def _rolled_off(light: npt.NDArray[Any], peak: float) -> npt.NDArray[np.float64]:
    """Map light up to a peak to light up to white, cd/m2: BT.2390's EETF with black at 0."""
    if peak <= WHITE:
        return np.asarray(light, np.float64)
    end = float(_pq_signal(np.array(peak)))
    most = float(_pq_signal(np.array(WHITE))) / end
    knee = 1.5 * most - 0.5
    e = _pq_signal(light) / end
    t = np.clip((e - knee) / (1 - knee), 0, 1)
    spline = (
        (2 * t**3 - 3 * t**2 + 1) * knee
        + (t**3 - 2 * t**2 + t) * (1 - knee)
        + (3 * t**2 - 2 * t**3) * most
    )
    return _pq_light(np.where(e < knee, e, spline) * end)


def _mastered_peak(frame: Any) -> float:
    """Return the brightest light of a film's mastering screen in cd/m2, 1000 where not said."""
    for data in frame.side_data:
        if data.type.name == "MASTERING_DISPLAY_METADATA":
            # AVMasteringDisplayMetadata: ten rationals, the last one the maximum, then two flags.
            values = np.frombuffer(bytes(data)[:88], np.int32)
            if len(values) == 22 and values[21] and values[19] > 0:
                return float(np.clip(values[18] / values[19], WHITE, 1e4))
    return PEAK
