"""The stock plugin `redis_queue`: its hooks."""
