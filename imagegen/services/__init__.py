"""What people do, as verbs with keyword arguments."""
