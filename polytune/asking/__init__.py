"""How answers are asked for: rate limits, retries, circuit breaker, concurrency and budget in one client."""
