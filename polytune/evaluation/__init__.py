"""Is the tuned model better? Exchanges, rivals and statistics."""
