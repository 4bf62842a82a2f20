"""The stock plugin `lmdb`: its hooks."""
