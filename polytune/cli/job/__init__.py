"""`polytune job`: one file per command."""
