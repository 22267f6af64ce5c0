"""Sends questions to an endpoint: rate limits, retries, circuit breaker, concurrency and budget in one client."""
