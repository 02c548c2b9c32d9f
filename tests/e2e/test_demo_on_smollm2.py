"""One full cycle of each stage on the real model: the demo itself, from an empty data root to its last question.

It is the longest test by far: ten to twenty minutes. That every ending is the right one is for `make demo` to say, with
its exit code: a verdict on a 135M model can turn on the rounding of another processor. What must hold on every machine
is asserted here.
"""

from __future__ import annotations

import json

import pytest

from agent.demo.run import run
from agent.root.layout import Layout
from agent.root.settings import load
from agent.root.stores import store_url
from agent.store import Store, cycles, deployment, intakes, verdicts, versions
from learners.durable import verify


@pytest.mark.slow
@pytest.mark.smollm2
def test_the_demo_runs_a_cycle_of_each_stage_and_never_lets_the_harmful_batch_serve(tmp_path, monkeypatch):
    monkeypatch.setenv("CLD_LIMITS__THREADS", "1")
    monkeypatch.setenv("CLD_ENERGY__ENABLED", "false")  # the estimate takes seconds of every job; other tests have it
    monkeypatch.setenv("CLD_CYCLE__BREAKER_AFTER", "10")  # a cautious gate must not end the demo early
    report_file = tmp_path / "demo-report.json"
    code = run(tmp_path / "root", report_file)
    report = json.loads(report_file.read_text())
    assert code == (0 if report["ok"] else 1)
    assert [cycle["stage"] for cycle in report["cycles"]] == ["cpt", "cit", "ca", "cit"]
    assert all(cycle["ending"] in cycles.ENDINGS - {"failed"} for cycle in report["cycles"])
    assert report["cycles"][0]["target_after"] > report["cycles"][0]["target_before"] + 0.1
    layout = Layout(tmp_path / "root")
    store = Store(store_url(layout, load(layout)))
    assert_only_passing_versions_served(store)
    assert_books_balance_and_hashes_hold(layout, store)
    store.close()


def assert_only_passing_versions_served(store):
    """Everything that ever served is the base model, or passed the gate; the harmful batch's version is neither."""
    with store.read() as tx:
        served = {move.version for move in deployment.history(tx)}
        passed = {row.version for row in verdicts.listing(tx) if row.phase == "judging" and row.outcome == "promote"}
    assert served <= {"v0"} | passed
    assert "v4" not in served


def assert_books_balance_and_hashes_hold(layout, store):
    with store.read() as tx:
        counts = intakes.accounting(tx)["inbox"]
        known = versions.listing(tx)
        assert deployment.current(tx).version in {version.id for version in known}
    assert counts.read == counts.kept + counts.duplicate + counts.quarantined
    for version in known:
        verify(layout.version(version.id), version.digest)
