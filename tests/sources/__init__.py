"""Tests of where existing records come from."""
