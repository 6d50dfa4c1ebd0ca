"""How jobs run: dispatch, claims, attempts, events, sweeping."""
