"""Tests of aws: unmodified boto3 against servers on loopback that break, refuse, or check everything."""
