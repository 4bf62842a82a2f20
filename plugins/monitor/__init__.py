"""The stock plugin `monitor`: its hooks."""
