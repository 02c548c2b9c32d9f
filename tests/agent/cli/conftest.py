"""The command line in-process: words in, exit code and both streams out."""

from __future__ import annotations

import pytest

from agent.cli import main
from tests.agent.cli.saying import Cld, Said
from tests.agent.operating import Operated


@pytest.fixture
def bare_cld(capsys: pytest.CaptureFixture[str]) -> Cld:
    """Runs `cld WORDS...`."""

    def run(*words: str) -> Said:
        capsys.readouterr()
        code = main(words)
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return run


@pytest.fixture
def cld(operated: Operated, bare_cld: Cld) -> Cld:
    """Runs `cld --root ROOT --as ada WORDS...` on the operated root."""
    return lambda *words: bare_cld("--root", str(operated.layout.root), "--as", "ada", *words)
