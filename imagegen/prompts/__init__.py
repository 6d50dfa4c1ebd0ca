"""From a person's words and a style to the prompt that a provider gets."""
