"""What draws pictures: one typed interface, one file per provider, abilities and prices as data."""
