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
    wanted = [Drawing(f"styles/{style.id}.webp", style.example, 3, 240, 240) for style in styles()]
    wanted += [Drawing(f"examples/{name}.webp", prompt, 11, 640, 480) for name, prompt in EXAMPLES]
    wanted.append(Drawing("models/local.webp", "flowing silk ribbons, violet, coral and amber", 5, 112, 112))
    return wanted


def draw(provider: LocalProvider, drawing: Drawing) -> None:
    """Draw one at twice its size, for clean edges, and keep it small."""
    scale = max(1, 800 // drawing.width)
    request = ImageRequest(
        model=provider.models()[0].id,
        prompt=drawing.prompt,
        seed=drawing.seed,
        width=drawing.width * scale,
        height=drawing.height * scale,
    )
    data = provider.generate(request).images[0].data
    path = FOLDER / drawing.name
    path.parent.mkdir(parents=True, exist_ok=True)
    small = Image.open(BytesIO(data)).resize((drawing.width, drawing.height), Image.Resampling.LANCZOS)
    small.save(path, "WEBP", quality=QUALITY, method=6)


if __name__ == "__main__":
    provider = LocalProvider(ProviderConfig())
    for drawing in drawings():
        draw(provider, drawing)
