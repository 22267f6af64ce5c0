"""Local stand-ins over HTTP for paid services, for tests and for `--rehearse`."""
