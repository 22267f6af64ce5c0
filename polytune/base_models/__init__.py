"""Dated, sourced facts: one file per base model."""
