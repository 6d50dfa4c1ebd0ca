"""All routes of one's own account, gathered from the files that hold them."""

from imagegen.blueprints.accounts import invitations, passwords, profile, sessions, sign_in, tokens
from imagegen.blueprints.accounts.blueprint import blueprint

__all__ = ["blueprint", "invitations", "passwords", "profile", "sessions", "sign_in", "tokens"]
