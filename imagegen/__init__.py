"""Imagegen Studio: a self-hosted AI image studio."""
