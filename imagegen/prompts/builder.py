"""From a person's words and a style to what a provider gets."""

from __future__ import annotations

from dataclasses import dataclass

from imagegen.prompts.styles import Style


@dataclass(frozen=True)
class BuiltPrompt:
    """What is sent: `negative` is empty where there is nothing to keep out."""

    prompt: str
    negative: str


def build(prompt: str, *, style: Style | None, negative: str) -> BuiltPrompt:
    """Return `prompt` in the words of `style`. The person's own text is put in as it is, never parsed."""
    text = prompt.strip()
    if style is None:
        return BuiltPrompt(text, negative.strip())
    before, _, after = style.pattern.partition("{prompt}")
    # The pattern goes on after a full stop; two would look like a slip.
    if after.startswith(".") and text.endswith((".", "!", "?", "…")):
        after = after[1:]
    words = [part for part in (negative.strip(), style.negative) if part]
    return BuiltPrompt(before + text + after, ", ".join(words))
