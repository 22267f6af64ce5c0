"""Run and diff pages."""
