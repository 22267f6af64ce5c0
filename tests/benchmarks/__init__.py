"""Scripts that print figures; nothing here asserts a timing."""
