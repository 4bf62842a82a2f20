"""The stock plugin `lifecycle`: its hooks."""
