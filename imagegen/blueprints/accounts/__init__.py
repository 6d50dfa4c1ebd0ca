"""Signing in and out, switching organisation, tokens."""
