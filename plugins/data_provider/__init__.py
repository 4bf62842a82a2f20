"""The stock plugin `data_provider`: its hooks."""
