"""Tests of the graders: real child processes, Strudel's real engine where npm can build it."""
