"""Texts and rows that repeat others, exactly or nearly."""
