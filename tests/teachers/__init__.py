"""Tests of the teachers."""
