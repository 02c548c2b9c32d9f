"""What tests of measuring share."""

import pytest

from monitors.tools.running import Result, Runner


@pytest.fixture
def _at_once(monkeypatch):
    """Tools run in this process: what another process costs is tested once, with the tools."""

    def run(self, tool, given):
        try:
            return Result(tool.run(tool.validated(given)))
        except ValueError as error:
            return Result(str(error), failed=True)

    monkeypatch.setattr(Runner, "run", run)
