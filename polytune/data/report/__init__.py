"""What a file of rows is like: summaries, comparisons, dataset cards."""
