"""``python -m prbkit.testing.devnet`` is ``prbkit devnet``."""

from prbkit.testing.devnet.cli import devnet_command

devnet_command()
