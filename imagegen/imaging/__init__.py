"""Work on pixels: checking, renditions, provenance; run in limited child processes."""
