"""Where files lie, behind one interface."""
