"""Domains that emulated models know without training. polytune's own are registered as entry points, too."""
