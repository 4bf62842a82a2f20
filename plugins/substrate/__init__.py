"""The stock plugin `substrate`: its hooks."""
