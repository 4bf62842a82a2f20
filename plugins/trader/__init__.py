"""The stock plugin `trader`: its hooks."""
