"""Fixtures of the tests of intake."""

import pytest
from intake_samples import Read


@pytest.fixture
def read(tmp_path):
    """Writes one file and takes it in."""

    def run(name, data, **limits):
        path = tmp_path / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return Read(tmp_path, path, **limits)

    return run
