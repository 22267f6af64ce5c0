"""From YAML to typed, frozen, located values."""
