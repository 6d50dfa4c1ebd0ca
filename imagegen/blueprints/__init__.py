"""Pages, one folder for each place in the studio."""
