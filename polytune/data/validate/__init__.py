"""A dataset against its format and the rules of its base model."""
