"""`polytune model`: one file per command."""
