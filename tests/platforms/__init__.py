"""Tests of what every platform promises."""
