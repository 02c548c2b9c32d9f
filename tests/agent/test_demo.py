"""Promises of the demo: its exit code is the endings', and its files are what its acts say."""

from __future__ import annotations

import json

from agent.demo.report import Check, Report, summary, write_report
from agent.demo.script import ACTS, QUESTIONS, STREAM


def test_a_wrong_ending_fails_the_demo_and_is_named():
    report = Report(checks=[Check("act 1: promoted", True, "done"), Check("act 4: refused", False, "done")])
    assert not report.ok
    assert summary(report.checks) == "wrong: act 4: refused"


def test_a_demo_that_checked_nothing_did_not_succeed():
    assert not Report().ok


def test_the_report_says_ok_and_lists_the_cycles(tmp_path):
    report = Report(checks=[Check("act 1", True, "done")])
    write_report(report, tmp_path / "demo-report.json")
    written = json.loads((tmp_path / "demo-report.json").read_text())
    assert written["ok"] is True
    assert written["cycles"] == []


def test_every_act_has_its_folder_of_plain_files():
    for act in ACTS:
        assert any((STREAM / act.folder).iterdir()), act.folder


def test_every_question_is_about_an_act_that_is_learned():
    assert all(ACTS[question.act - 1].ending == "done" for question in QUESTIONS)
