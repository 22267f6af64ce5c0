"""Comparisons of two runs: figures, datasets and evaluations, as text, Markdown or JSON."""
