"""Tests of the engine: real processes, real kills, real SQLite, with step kinds made for them."""
