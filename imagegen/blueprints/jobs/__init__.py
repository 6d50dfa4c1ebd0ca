"""Jobs: the list, one job, and the stream of what happens."""
