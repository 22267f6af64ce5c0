"""Tests of what programs of the user read: patterns, the observer, and the modules that are imported."""
