"""Training-record layouts and their rules."""
