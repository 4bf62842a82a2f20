"""The ``prbkit`` command."""
