"""Each part of a page once, for whoever works on how the studio looks."""
