"""Rows that can be read and still teach the wrong thing."""
