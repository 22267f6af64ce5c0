"""Amazon Bedrock as a platform."""
