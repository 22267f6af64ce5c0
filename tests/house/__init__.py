"""What holds the code base together: deferred imports, names, contracts."""
