"""`polytune data`: one file per command."""
