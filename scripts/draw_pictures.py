"""Draw the pictures that the pages show of themselves into static/img: `make pictures`.

They come from the local provider, so they are what a new user gets, and nobody else's work.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from imagegen.blueprints.generator.contexts import EXAMPLES
from imagegen.prompts.styles import styles
from imagegen.providers.base import ImageRequest, ProviderConfig
from imagegen.providers.local.provider import LocalProvider

FOLDER = Path(__file__).resolve().parent.parent / "static" / "img"
QUALITY = 82
STYLE_SIDE = 160


@dataclass(frozen=True)
class Drawing:
    """One file: what is asked for, and the size in which it is kept, in pixels."""

    name: str
    prompt: str
    seed: int
    width: int
    height: int


def drawings() -> list[Drawing]:
    """Return everything that is to be drawn."""
    wanted = [Drawing(f"examples/{name}.webp", prompt, 11, 480, 600) for name, prompt in EXAMPLES]
    wanted.append(Drawing("models/local.webp", "flowing silk ribbons, violet, coral and amber", 5, 112, 112))
    return wanted


def drawn(provider: LocalProvider, drawing: Drawing) -> Image.Image:
    """Draw one, larger than it is kept, for clean edges."""
    scale = max(1, 800 // drawing.width)
    request = ImageRequest(
        model=provider.models()[0].id,
        prompt=drawing.prompt,
        seed=drawing.seed,
        width=drawing.width * scale,
        height=drawing.height * scale,
    )
    data = provider.generate(request).images[0].data
    return Image.open(BytesIO(data)).resize((drawing.width, drawing.height), Image.Resampling.LANCZOS)


def keep(picture: Image.Image, name: str) -> None:
    """Write a picture into the folder, small."""
    path = FOLDER / name
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, "WEBP", quality=QUALITY, method=6)


def styles_in_a_row(provider: LocalProvider) -> Image.Image:
    """Draw the styles' pictures side by side: one file, one request."""
    row = Image.new("RGB", (STYLE_SIDE * len(styles()), STYLE_SIDE))
    for number, style in enumerate(styles()):
        drawing = Drawing("", style.example, 3, STYLE_SIDE, STYLE_SIDE)
        row.paste(drawn(provider, drawing), (number * STYLE_SIDE, 0))
    return row


if __name__ == "__main__":
    provider = LocalProvider(ProviderConfig())
    keep(styles_in_a_row(provider), "styles.webp")
    for drawing in drawings():
        keep(drawn(provider, drawing), drawing.name)
