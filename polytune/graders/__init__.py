"""Graders: each judges one answer."""
