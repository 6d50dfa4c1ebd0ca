"""Things that know nothing of the studio: errors, ids, clock, money, text, crypto, the guarded fetcher."""
