"""Draw every kind of local picture in several seeds and shapes onto one sheet, to be looked at.

`make contact-sheet`; ARGS may be [--kinds dunes,silk] [--seeds 6] [--out build/contact-sheet.png].
"""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from imagegen.providers.local.drawing import Wish, picture
from imagegen.providers.local.kinds import KINDS

ROOT = Path(__file__).resolve().parent.parent
SHAPES = ((4, 5), (16, 9), (9, 16))
ROW, GAP, LABEL = 300, 10, 150
DRAWN_LARGER = 2
PAPER, INK = (250, 249, 246), (28, 27, 25)


def tile(kind: str, seed: int, shape: tuple[int, int]) -> Image.Image:
    """Return one picture, drawn larger and brought to the height of the row."""
    height = ROW * DRAWN_LARGER
    width = round(height * shape[0] / shape[1])
    wish = Wish(prompt="", seed=seed, kind=kind)
    drawn = Image.fromarray(picture(wish, width, height))
    return drawn.resize((width // DRAWN_LARGER, ROW), Image.Resampling.LANCZOS)


def row(kind: str, seeds: int) -> Image.Image:
    """Return all pictures of one kind side by side, shape by shape, with the kind's name before them."""
    with ThreadPoolExecutor(2) as threads:
        wanted = [(kind, seed, shape) for shape in SHAPES for seed in range(seeds)]
        tiles = list(threads.map(lambda one: tile(*one), wanted))
    strip = Image.new("RGB", (LABEL + sum(t.width + GAP for t in tiles), ROW + GAP), PAPER)
    font = ImageFont.load_default(20)
    ImageDraw.Draw(strip).text((GAP, ROW // 2), kind, fill=INK, font=font, anchor="lm")
    x = LABEL
    for one in tiles:
        strip.paste(one, (x, GAP // 2))
        x += one.width + GAP
    return strip


def main() -> None:
    """Draw the sheet and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kinds", default=",".join(kind.id for kind in KINDS))
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "contact-sheet.png")
    args = parser.parse_args()
    begun = time.perf_counter()
    rows = [row(kind, args.seeds) for kind in args.kinds.split(",")]
    sheet = Image.new("RGB", (rows[0].width, sum(one.height for one in rows)), PAPER)
    y = 0
    for one in rows:
        sheet.paste(one, (0, y))
        y += one.height
    args.out.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(args.out, compress_level=1)
    count = len(rows) * args.seeds * len(SHAPES)
    sys.stdout.write(f"{count} pictures in {time.perf_counter() - begun:.1f} s: {args.out}\n")


if __name__ == "__main__":
    main()
