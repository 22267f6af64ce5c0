"""Tests of what every platform promises, to steps and to the command line."""
