"""Make the bundled Japanese font: the signs of JIS X 0208 in their Japanese shapes.

Chinese, Japanese and Korean share the codes of most of their characters, not all of their shapes.
The bundled Droid Sans Fallback draws the Chinese ones; lines in Japanese take theirs from here.

    python -m nlviz.recipes.japanese_font NotoSansCJK-Regular.ttc

The collection is that of Noto CJK 2.004 (OFL 1.1). It is cut to these signs, without hints and
tables of layout; its outlines become quadratic ones, to within a thousandth of the size, which is
what a PDF embeds.
"""

from __future__ import annotations

import argparse
from io import BytesIO
from pathlib import Path

from fontTools import subset
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, TTFont, newTable

from nlviz.files.local import write_whole
from nlviz.resources import asset

FACE = "Noto Sans CJK JP"
NAMES = [0, 1, 2, 3, 4, 5, 6, 13, 14]  # of the font's own table: makers, names and licence
TOLERANCE = 1.0  # of 1000 units to the em


def signs() -> list[int]:
    """Return the code points of JIS X 0208 from the CJK marks on, and half-width kana.

    >>> len(signs()), chr(0x9aa8) in map(chr, signs())
    (6710, True)
    """
    return [code for code in range(0x3000, 0x10000) if _in_shift_jis(chr(code))]


def _in_shift_jis(sign: str) -> bool:
    try:
        sign.encode("shift_jis")
    except UnicodeEncodeError:
        return False
    return True


def made(collection: Path) -> bytes:
    """Return the bytes of the font.

    Args:
        collection: path of ``NotoSansCJK-Regular.ttc``.
    """
    faces = TTCollection(str(collection)).fonts
    font = next(face for face in faces if face["name"].getDebugName(1) == FACE)
    options = subset.Options()
    options.hinting = False
    options.layout_features = []
    options.name_IDs = NAMES
    options.notdef_outline = True
    options.desubroutinize = True
    options.drop_tables += ["GSUB", "GPOS", "BASE", "DSIG", "VORG", "vhea", "vmtx"]
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=signs())
    cutter.subset(font)
    font.recalcTimestamp = False  # the same bytes each time
    buffer = BytesIO()
    font.save(buffer)  # settles the order of glyphs
    return _quadratic(TTFont(BytesIO(buffer.getvalue()), recalcTimestamp=False))


def _quadratic(font: TTFont) -> bytes:
    """Return a font with PostScript outlines as a TrueType file."""
    order = font.getGlyphOrder()
    outlines = font.getGlyphSet()
    glyphs = {}
    for name in order:
        pen = TTGlyphPen(outlines)
        outlines[name].draw(Cu2QuPen(pen, TOLERANCE, reverse_direction=True))
        glyphs[name] = pen.glyph(dropImpliedOnCurves=True)
    font["loca"] = newTable("loca")
    font["glyf"] = table = newTable("glyf")
    table.glyphOrder, table.glyphs = order, glyphs
    del font["CFF "]
    table.compile(font)
    sides = font["hmtx"].metrics
    for name, glyph in glyphs.items():
        if hasattr(glyph, "xMin"):
            sides[name] = (sides[name][0], glyph.xMin)
    most = font["maxp"]
    most.tableVersion = 0x00010000
    most.maxZones = 1
    for none in (
        "TwilightPoints", "Storage", "FunctionDefs", "InstructionDefs", "StackElements",
        "SizeOfInstructions", "ComponentElements",
    ):  # fmt: skip
        setattr(most, f"max{none}", 0)
    font["post"].formatType = 3.0  # without names of glyphs
    font.sfntVersion = "\0\1\0\0"
    buffer = BytesIO()
    font.save(buffer)
    return buffer.getvalue()


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collection", type=Path, help="NotoSansCJK-Regular.ttc of Noto CJK 2.004")
    font = made(parser.parse_args().collection)
    path = asset("fonts") / "NotoSansJP-JIS.ttf"
    print(f"{write_whole(path, font)}: {len(font):,} bytes")


if __name__ == "__main__":
    main()
