"""Application configurations: the family's contract, and each language's own reader."""
