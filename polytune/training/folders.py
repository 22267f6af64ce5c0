"""What a folder must hold to be a model, checked before torch is imported; needs no torch."""

from __future__ import annotations

from pathlib import Path

from polytune.errors import UsageError


def check_folder(folder: Path) -> None:
    """Raises UsageError unless the folder looks like a saved Hugging Face model with a tokenizer."""
    if not folder.is_dir():
        raise UsageError(f"base model {folder}: there is no such folder; correct its path")
    tokenizer = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json")
    if not (folder / "config.json").is_file() or not any((folder / name).is_file() for name in tokenizer):
        raise UsageError(
            f"base model {folder}: not a Hugging Face model; it needs config.json, weights and a tokenizer"
        )
