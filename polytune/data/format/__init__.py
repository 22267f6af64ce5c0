"""Turns samples into rows of a training layout, split into train, validation and test."""
