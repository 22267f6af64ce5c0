"""Subjects that emulated models know by themselves; polytune's own come from its domains, as entry points."""
