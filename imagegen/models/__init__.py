"""Tables: one file per aggregate, the unit of work, and the scope of every query."""
