"""Finds texts and rows that are exact or near duplicates of others."""
