"""Facts about base models, each with its source and date: one file per model or model family."""
