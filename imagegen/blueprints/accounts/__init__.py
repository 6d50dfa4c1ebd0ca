"""One's own account: signing in and out, invitations, passwords, profile, sessions, tokens."""
