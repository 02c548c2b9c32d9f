"""What tests of worker processes share."""

from tests.faults.rehearsing import waiting

__all__ = ["waiting"]
