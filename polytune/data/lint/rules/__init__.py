"""Lint rules: one file each, named as in reports."""
