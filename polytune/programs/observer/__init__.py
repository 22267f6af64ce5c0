"""The folder that a launcher puts on PYTHONPATH, so that a Python program says what it reads."""
