"""Samples become checked training data: streamed, in flat memory, the same bytes every time."""
