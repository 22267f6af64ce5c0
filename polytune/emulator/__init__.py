"""A local stand-in for Bedrock (arrives with the Bedrock platform)."""
