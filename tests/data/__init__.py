"""Format and validate: the streaming machine between samples and checked data."""
