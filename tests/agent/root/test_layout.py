"""Promises of `agent.root.layout`: ids never leave the root, and a root is found in a fixed order."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import InvalidId, NoDataRoot
from agent.root.layout import Layout, check_id, discover


def make_root(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cld.toml").touch()
    return folder


@pytest.mark.parametrize(
    "bad", ["", "..", ".", "a/b", "a\\b", "/etc", "v1\n", "V1", "v_1", "v 1", "%2e%2e", "a" * 65, "ü", "v1\0", "~"]
)
def test_an_id_that_is_not_made_of_the_permitted_characters_is_refused(bad: str):
    with pytest.raises(InvalidId, match="is not an id"):
        Layout(Path("/data")).version(bad)


@given(st.text())
def test_whatever_text_comes_as_an_id_the_path_stays_below_its_folder(text: str):
    layout = Layout(Path("/data"))
    try:
        path = layout.job(text)
    except InvalidId:
        return
    assert path.parent == layout.jobs and path.name == text


def test_a_legal_id_passes_unchanged():
    assert check_id("c1-training") == "c1-training"


def test_create_makes_every_folder_for_its_owner_alone(tmp_path: Path):
    layout = Layout(tmp_path / "root")
    assert layout.create()
    folders = [layout.root, layout.inbox, layout.versions, layout.jobs, layout.run, layout.logs, layout.suites]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o700}


def test_create_a_second_time_changes_nothing(tmp_path: Path):
    Layout(tmp_path).create()
    assert not Layout(tmp_path).create()


def test_the_named_root_wins_over_the_environment(tmp_path: Path):
    named, other = make_root(tmp_path / "named"), make_root(tmp_path / "other")
    assert discover(named, {"CLD_ROOT": str(other)}).root == named


def test_the_environment_wins_over_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(make_root(tmp_path / "here"))
    other = make_root(tmp_path / "other")
    assert discover(None, {"CLD_ROOT": str(other)}).root == other


def test_the_current_folder_is_the_root_if_it_holds_a_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(make_root(tmp_path))
    assert discover(None, {}).root == tmp_path


def test_no_root_anywhere_names_the_command_that_makes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoDataRoot, match=r"cld --root .* init"):
        discover(None, {})
