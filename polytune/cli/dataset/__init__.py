"""`polytune dataset`: one file per command."""
