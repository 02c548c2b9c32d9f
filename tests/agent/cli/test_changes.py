"""Promises of the changing commands: one envelope, rehearsed with --dry-run, safe to repeat, named exit codes."""

from __future__ import annotations

import io
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from agent.errors import exit_code
from agent.root.lock import lock
from agent.store import control, decisions, events
from tests.agent.cli.saying import Cld
from tests.agent.operating import Operated

CHANGES = [
    ("start",), ("stop",), ("pause",), ("resume",), ("cycle", "run"), ("cycle", "abort"), ("approve",), ("reject",),
    ("promote", "v0"), ("rollback",), ("pin", "v0"), ("unpin", "v0"), ("probe", "run"), ("init",), ("submit", "FILE"),
    ("backup", "COPY"), ("restore", "FILE"),
]  # fmt: skip


@pytest.mark.parametrize("words", CHANGES, ids=" ".join)
def test_every_change_answers_the_same_envelope_when_rehearsed(
    operated: Operated, cld: Cld, tmp_path: Path, words: tuple[str, ...]
):
    files = {"FILE": tmp_path / "data.jsonl", "COPY": tmp_path / "copy.db"}
    operated.store.backup(files["FILE"])
    said = cld(*(str(files.get(word, word)) for word in words), "--dry-run", "--json")
    assert list(said.json) == ["verb", "target", "outcome", "message", "data"], said.err
    assert said.json["outcome"] in ("would_apply", "already", "refused")
    assert (said.code == 0) == (said.json["outcome"] != "refused")


@pytest.mark.parametrize("words", CHANGES, ids=" ".join)
def test_no_rehearsal_changes_anything(operated: Operated, cld: Cld, tmp_path: Path, words: tuple[str, ...]):
    files = {"FILE": tmp_path / "data.jsonl", "COPY": tmp_path / "copy.db"}
    operated.store.backup(files["FILE"])
    before = contents(operated.layout.root)
    cld(*(str(files.get(word, word)) for word in words), "--dry-run")
    assert contents(operated.layout.root) == before and not files["COPY"].exists()


def contents(root: Path) -> dict[str, bytes]:
    passing = ("-shm", "-wal", "daemon.lock")
    return {
        str(path): path.read_bytes() for path in root.rglob("*") if path.is_file() and not path.name.endswith(passing)
    }


def test_who_gives_a_command_is_recorded(operated: Operated, cld: Cld):
    cld("pause", "--why", "lunch")
    with operated.store.read() as tx:
        (pause,) = control.pauses(tx)
        assert (pause.who, pause.reason) == ("ada", "lunch")
        assert all(row.who and row.why for row in events.listing(tx))


def test_without_a_name_the_user_of_the_machine_is_who_it_was(
    operated: Operated, bare_cld: Cld, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("USER", "grace")
    bare_cld("--root", str(operated.layout.root), "pause")
    with operated.store.read() as tx:
        assert control.pauses(tx)[0].who == "grace"


def test_people_read_the_outcome_first(operated: Operated, cld: Cld):
    assert cld("pause").out.startswith("applied: ")
    assert cld("pause").out.startswith("already: ")
    assert cld("resume", "--dry-run").out.startswith("would apply: ")


def test_a_refusal_ends_with_exit_code_4_and_says_why_on_stderr(operated: Operated, cld: Cld):
    said = cld("cycle", "run")
    assert said.code == 4 and said.out == "" and said.err.startswith("refused: ") and "cld submit" in said.err


def test_a_generation_that_passed_ends_with_exit_code_5(operated: Operated, cld: Cld):
    operated.publish("v1", "v0")
    operated.serve("v1")
    assert cld("rollback", "v0", "--generation", "1").code == 5


def test_an_unknown_version_ends_with_exit_code_3(operated: Operated, cld: Cld):
    assert cld("promote", "v99").code == 3


def test_a_damaged_version_ends_with_exit_code_65(operated: Operated, cld: Cld):
    operated.publish("v1", "v0")
    (operated.layout.version("v1") / "weights.txt").unlink()
    assert cld("promote", "v1").code == 65


def test_approve_records_the_word_of_a_named_person(operated: Operated, cld: Cld):
    cycle = operated.cycle_in("planning", "awaiting_approval")
    assert cld("approve", "--why", "I read it").code == 0
    with operated.store.read() as tx:
        (word,) = decisions.of_cycle(tx, cycle)
    assert (word.who, word.why) == ("ada", "I read it")


def test_init_makes_a_private_root_with_every_default(tmp_path: Path, bare_cld: Cld):
    root = tmp_path / "new" / "root"
    assert bare_cld("init", str(root), "--json").json["data"]["made"] == ["folders", "cld.toml", "database"]
    assert stat.S_IMODE(root.stat().st_mode) == 0o700
    assert stat.S_IMODE((root / "cld.toml").stat().st_mode) == 0o600
    assert bare_cld("--root", str(root), "config", "check").code == 0


def test_init_again_changes_nothing(tmp_path: Path, bare_cld: Cld):
    root = tmp_path / "root"
    bare_cld("init", str(root))
    (root / "cld.toml").write_text("[cycle]\nmin_records = 3\n")
    assert bare_cld("init", str(root), "--json").json["outcome"] == "already"
    assert "min_records = 3" in (root / "cld.toml").read_text()


def test_init_refuses_a_folder_with_other_things(tmp_path: Path, bare_cld: Cld):
    (tmp_path / "thesis.tex").touch()
    said = bare_cld("init", str(tmp_path))
    assert said.code == 4 and "cld init FOLDER" in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_submitted_file_lies_whole_in_the_inbox_under_a_new_name(operated: Operated, cld: Cld, tmp_path: Path):
    data = tmp_path / "My Facts!.jsonl"
    data.write_text('{"text": "a"}\n')
    paths = [Path(cld("submit", str(data), "--json").json["data"]["path"]) for _ in range(3)]
    assert len(set(paths)) == 3 and {path.parent for path in paths} == {operated.layout.inbox}
    assert all(path.read_text() == data.read_text() and path.name.startswith("My-Facts-") for path in paths)
    assert not list(operated.layout.inbox.glob(".*"))


def test_standard_input_is_submitted_with_its_format(operated: Operated, cld: Cld, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"# Title\n")))
    path = Path(cld("submit", "-", "--format", "md", "--json").json["data"]["path"])
    assert path.suffix == ".md" and path.read_text() == "# Title\n"


@pytest.mark.parametrize("words", [("submit", "-"), ("submit", "-", "--format", "exe"), ("submit", __file__)])
def test_a_format_that_nobody_reads_is_refused_with_the_known_ones(
    operated: Operated, cld: Cld, words: tuple[str, ...]
):
    said = cld(*words)
    assert said.code == 2 and "jsonl" in said.err


def test_an_empty_file_is_refused(operated: Operated, cld: Cld, tmp_path: Path):
    (tmp_path / "a.txt").touch()
    assert cld("submit", str(tmp_path / "a.txt")).code == 4
    assert not list(operated.layout.inbox.iterdir())


def test_a_file_above_the_limit_is_refused_and_leaves_nothing(operated: Operated, cld: Cld, tmp_path: Path):
    operated.layout.config_file.write_text("[intake]\nmax_file_bytes = 1000\n")
    (tmp_path / "a.txt").write_text("x" * 1001)
    said = cld("submit", str(tmp_path / "a.txt"))
    assert said.code == 4 and "max_file_bytes" in said.err and not list(operated.layout.inbox.iterdir())


def test_a_source_that_does_not_exist_is_named_with_the_known_ones(operated: Operated, cld: Cld, tmp_path: Path):
    (tmp_path / "a.txt").write_text("x")
    said = cld("submit", str(tmp_path / "a.txt"), "--source", "wiki")
    assert said.code == 3 and "inbox" in said.err


@pytest.mark.parametrize("special", ["missing.txt", "folder.txt", "pipe.txt"])
def test_what_is_no_regular_file_is_not_submitted(operated: Operated, cld: Cld, tmp_path: Path, special: str):
    (tmp_path / "folder.txt").mkdir()
    subprocess.run(["mkfifo", str(tmp_path / "pipe.txt")], check=True)
    assert cld("submit", str(tmp_path / special)).code in (3, 4)


def test_a_backup_is_restored_and_what_was_there_is_kept(operated: Operated, cld: Cld, tmp_path: Path):
    copy = tmp_path / "copy.db"
    assert cld("backup", str(copy)).code == 0
    cld("pause")
    operated.store.close()
    operated.layout.database.write_bytes(b"broken" * 1000)
    said = cld("restore", str(copy), "--json")
    assert said.json["outcome"] == "applied", said.err
    assert cld("status", "--json").json["paused"] == []
    assert Path(said.json["data"]["aside"]).read_bytes() == b"broken" * 1000


def test_a_backup_never_overwrites(operated: Operated, cld: Cld, tmp_path: Path):
    (tmp_path / "copy.db").write_text("mine")
    assert cld("backup", str(tmp_path / "copy.db")).code == 74
    assert (tmp_path / "copy.db").read_text() == "mine"


def test_a_damaged_copy_is_not_restored(operated: Operated, cld: Cld, tmp_path: Path):
    (tmp_path / "copy.db").write_bytes(b"broken" * 1000)
    assert cld("restore", str(tmp_path / "copy.db")).code == 74
    assert cld("status", "--json").json["version"]["version"] == "v0"
    assert not list(operated.layout.root.glob("*.restoring*"))


def test_nothing_is_restored_under_a_running_daemon(operated: Operated, cld: Cld, tmp_path: Path):
    cld("backup", str(tmp_path / "copy.db"))
    with lock(operated.layout):
        said = cld("restore", str(tmp_path / "copy.db"))
    assert said.code == 6 and "cld stop" in said.err


def test_stop_without_a_daemon_is_found_already_so(operated: Operated, cld: Cld):
    assert cld("stop", "--json").json["outcome"] == "already"


def test_a_daemon_with_a_wrong_configuration_is_not_started(operated: Operated, cld: Cld):
    said = cld("start", "--set", "limits.threads=0")
    assert said.code == 78 and "limits.threads" in said.err


def test_an_error_of_the_store_keeps_its_exit_code_in_json(operated: Operated, cld: Cld, tmp_path: Path):
    (tmp_path / "copy.db").touch()
    error = json.loads(cld("backup", str(tmp_path / "copy.db"), "--json").err)["error"]
    assert error["kind"] == "store_error" and exit_code(OSError()) == 74
