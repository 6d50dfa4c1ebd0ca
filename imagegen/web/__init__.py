"""What every page and API call shares: sessions, access, errors, streams, headers."""
