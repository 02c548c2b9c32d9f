"""kill -9 at every call that changes the disk: a published folder is there whole or not at all."""

import os
import signal
import warnings

import pytest

from learners.durable import IncompleteFolder, publish, verify, write_atomic, write_manifest
from tests.faults.rehearsing import files

CALLS = ("link", "fsync", "rename", "replace", "mkdir", "unlink", "rmdir")


@pytest.fixture
def staging(tmp_path):
    """A version folder with one nested folder, complete."""
    folder = tmp_path / "staging"
    (folder / "adapter").mkdir(parents=True)
    (folder / "adapter" / "weights").write_bytes(b"w" * 4096)
    (folder / "version.json").write_text("{}")
    write_manifest(folder)
    return folder


def test_a_kill_at_any_call_of_publishing_leaves_nothing_or_everything(staging, tmp_path):
    final, wanted, seen = tmp_path / "v1", files(staging), set()
    for number in range(1, 100):
        died = _killed_at(number, lambda: publish(staging, final))
        seen.add(final.exists())
        if final.exists():
            assert files(final) == wanted
            verify(final)
        publish(staging, final)
        verify(final)
        if not died:
            break
        final.rename(tmp_path / f"done{number}")
    assert seen == {True, False}
    assert not list(tmp_path.glob(".*publishing"))


def test_a_kill_at_any_call_of_the_manifest_leaves_an_incomplete_or_a_complete_folder(staging):
    incomplete = 0
    for number in range(1, 100):
        (staging / "manifest.json").unlink(missing_ok=True)
        died = _killed_at(number, lambda: write_manifest(staging))
        incomplete += not _complete(staging)
        if not died:
            break
    assert incomplete > 3
    assert _complete(staging)
    assert write_manifest(staging)
    assert sorted(files(staging)) == ["adapter/weights", "manifest.json", "version.json"]


def test_a_kill_at_any_call_of_a_write_leaves_the_old_or_the_new_file(tmp_path):
    target, seen = tmp_path / "state.json", set()
    for number in range(1, 20):
        target.write_text("old")
        died = _killed_at(number, lambda: write_atomic(target, "new"))
        seen.add(target.read_text())
        if not died:
            break
    assert seen == {"old", "new"}
    assert target.read_text() == "new"


def test_the_sweep_catches_a_writer_that_puts_the_manifest_first(staging, tmp_path):
    """The control: a careless order must be seen as damage."""
    final = tmp_path / "v1"

    def careless():
        final.mkdir()
        os.link(staging / "manifest.json", final / "manifest.json")
        os.link(staging / "version.json", final / "version.json")

    assert _killed_at(3, careless)
    with pytest.raises(Exception, match="damaged"):
        verify(final)


def _complete(folder):
    try:
        verify(folder)
    except IncompleteFolder:
        return False
    return True


def _killed_at(number, action):
    """Do `action` in a fork that dies before its n-th call that changes the disk; whether it died."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        child = os.fork()
    if child == 0:
        _arm(number)
        try:
            action()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _arm(number):
    left = [number]

    def armed(call):
        def wrapped(*args, **keywords):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **keywords)

        return wrapped

    for name in CALLS:
        setattr(os, name, armed(getattr(os, name)))
