"""The only code that talks to AWS (arrives with the Bedrock platform)."""
