"""A blob store for prbkit that lives in one append-only file: an example of an outside plugin."""
