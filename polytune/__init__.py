"""polytune: declarative, resumable fine-tuning pipelines."""

__version__ = "0.1.0"
