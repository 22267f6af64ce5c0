"""Compares a tuned model with its rivals: exchanges, the trivial rival, and statistics."""
