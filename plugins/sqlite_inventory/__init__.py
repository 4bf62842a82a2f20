"""The stock plugin `sqlite_inventory`: its hooks."""
