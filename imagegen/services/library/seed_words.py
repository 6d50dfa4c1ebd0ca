"""What seeded pictures show."""

from __future__ import annotations

PARTS: tuple[tuple[str, ...], ...] = (
    (
        "paper boats on a still pond",
        "a ceramic cup beside an open notebook",
        "dunes in long rows",
        "a fox made of folded paper",
        "ripe lemons in a blue bowl",
        "a bicycle against a brick wall",
        "two runners on a coastal path",
        "a bowl of ramen",
        "a botanist in a glasshouse",
        "marbled silver ink",
        "the roofs of an old town",
        "a quiet reading corner",
        "a loaf of rye bread",
        "terrazzo in warm colours",
        "a wooden toy train",
        "a market stall with peaches",
        "snow on pine branches",
        "a glass of iced tea",
        "a violin on a chair",
        "an astronaut watering plants",
        "a row of beach huts",
        "wild geese over fields",
        "a cat on a windowsill",
        "a bottle of perfume on marble",
        "sneakers on a concrete step",
        "a tram in the rain",
        "poppies in a meadow",
        "a clay vase",
        "a mountain hut at night",
        "rolled linen towels",
        "a hand with a pencil",
        "stacked books",
        "a sailing boat",
        "waves of silk",
    ),
    (
        "in soft morning light",
        "at dusk",
        "under studio light",
        "in heavy rain",
        "in fog",
        "at golden hour",
        "by candlelight",
        "under an overcast sky",
        "against a plain wall",
        "seen from above",
    ),
    (
        "violet and amber",
        "muted greens",
        "deep blue",
        "pastel tones",
        "black and white",
        "warm earth colours",
        "teal and coral",
        "pale grey",
    ),
    (
        "calm mood",
        "lots of empty space",
        "film grain",
        "crisp detail",
        "shallow depth of field",
        "wide shot",
        "close-up",
        "minimal composition",
    ),
)
"""A prompt has one of each."""

LIGHTHOUSES = (
    "a paper lighthouse on a cliff",
    "a lighthouse in fog",
    "an old lighthouse keeper with a lamp",
    "a striped lighthouse and gulls",
)

NAMES = ("launch", "team-day", "product", "IMG", "DSC", "autumn-campaign", "office", "portrait")
TAGS = ("Launch", "Summer", "Product", "Team", "Quote", "Background", "Portrait", "Food", "Travel", "Archive")
COLLECTIONS = ("Autumn campaign", "Website", "Press kit", "Best of", "Recruiting")
STYLES = ("minimalist", "photorealistic", "watercolor", "illustration", None)
MODELS = (("openai", "gpt-image-2"), ("openai", "gpt-image-1-mini"), ("local", "local-studio"))
