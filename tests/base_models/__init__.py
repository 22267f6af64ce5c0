"""Facts of base models: complete, consistent, sourced and dated."""
