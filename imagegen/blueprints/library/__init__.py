"""The library: grid, one picture, star."""
