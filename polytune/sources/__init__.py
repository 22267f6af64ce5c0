"""Sources of existing records: files, S3, invocation logs, Hugging Face datasets."""
