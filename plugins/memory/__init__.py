"""The stock plugin `memory`: its hooks."""
