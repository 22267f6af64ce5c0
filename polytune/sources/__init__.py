"""Where existing records come from."""
