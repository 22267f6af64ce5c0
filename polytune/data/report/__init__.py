"""Describes files of rows: summaries, comparisons, dataset cards."""
