"""Application configurations for a finished model."""
