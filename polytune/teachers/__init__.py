"""Teachers: the models and services that answer prompts."""
