"""A local stand-in for Amazon Bedrock."""
