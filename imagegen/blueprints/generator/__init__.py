"""Create: the composer and the feed."""
