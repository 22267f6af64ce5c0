"""Step kinds: one file each, named as in YAML."""
