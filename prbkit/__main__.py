"""``python -m prbkit``."""

from prbkit.cli import main

main()
