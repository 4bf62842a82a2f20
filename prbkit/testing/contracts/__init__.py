"""Test suites that an implementer of an interface must pass: subclass one, give it a factory."""
