"""The stock plugin `keyring`: its hooks."""
