"""What workers do not import, and that whoever needs it still can."""

import gc
import subprocess
import sys
from importlib.util import find_spec
from types import ModuleType

import pytest

from learners.lean import lean

ENGINE = """
import sys
from monitors.engines import open_engines
from monitors.job import EngineSettings
open_engines(EngineSettings())
assert "transformers.generation.candidate_generator" in sys.modules
print(sorted({"scipy", "sklearn", "pandas"} & set(sys.modules)))
import sklearn.metrics
"""


@pytest.fixture
def never_imported(monkeypatch):
    """As in a new process."""
    for name in ("scipy", "sklearn"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.usefixtures("never_imported")
def test_what_is_left_out_is_not_found_and_is_there_again_afterwards():
    with lean():
        assert find_spec("sklearn") is None and find_spec("scipy") is None
        with pytest.raises(ModuleNotFoundError):
            import sklearn  # noqa: F401
    assert find_spec("sklearn") is not None and find_spec("scipy") is not None


@pytest.mark.usefixtures("never_imported")
def test_it_is_there_again_after_an_import_that_failed():
    with pytest.raises(ImportError), lean():
        raise ImportError
    assert find_spec("sklearn") is not None


def test_what_is_imported_already_stays(monkeypatch):
    mine = ModuleType("sklearn")
    monkeypatch.setitem(sys.modules, "sklearn", mine)
    with lean():
        assert sys.modules["sklearn"] is mine
    assert sys.modules["sklearn"] is mine


@pytest.mark.parametrize("collects", [True, False])
def test_garbage_waits_and_is_collected_as_before_afterwards(monkeypatch, collects):
    monkeypatch.setattr(gc, "isenabled", lambda: collects)
    calls = []
    monkeypatch.setattr(gc, "disable", lambda: calls.append("disable"))
    monkeypatch.setattr(gc, "enable", lambda: calls.append("enable"))
    with lean():
        assert calls == ["disable"]
    assert calls == ["disable", *(["enable"] if collects else [])]


@pytest.mark.slow
def test_an_engine_is_opened_without_what_it_does_not_use():
    run = subprocess.run([sys.executable, "-c", ENGINE], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, "[]"), run.stderr
