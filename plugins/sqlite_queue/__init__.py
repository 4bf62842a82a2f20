"""The stock plugin `sqlite_queue`: its hooks."""
