"""The stock plugins, one folder each, found through the same entry points as anyone's.

Each imports prbkit's public API, its own folder (relatively) and nothing of its neighbours.
"""
