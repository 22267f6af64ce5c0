"""Step kinds: one file each, named as in YAML."""

RETIRED = {
    "continued_pre_training": (
        "Bedrock offered continued pre-training for Titan Text Express and Lite only, and both are gone."
        " Use `train` to fine-tune instead"
    )
}
"""Removed kinds, each with the reason and the replacement."""
