"""Sends questions to endpoints: rate limits, retries, circuit breaker, concurrency, budget in one client."""
