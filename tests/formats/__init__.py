"""Training-record layouts: one contract for all, a gallery of bad rows for each."""
