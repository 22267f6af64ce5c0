"""Tests of the local trainer: real processes that train and answer with small models."""
