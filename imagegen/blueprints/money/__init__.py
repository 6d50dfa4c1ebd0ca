"""Money: what was used, what may be spent, and what things cost."""
