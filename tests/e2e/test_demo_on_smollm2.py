"""One full cycle of each stage on the real model: the demo itself, with every ending checked.

It is the longest test by far: about ten minutes alone on two cores.
"""

from __future__ import annotations

import json

import pytest

from agent.demo.run import run
from agent.layout import Layout
from agent.settings import load
from agent.store import Store, deployment, pool, versions
from agent.stores import store_url
from learners.durable import verify


@pytest.mark.slow
@pytest.mark.smollm2
def test_the_demo_promotes_what_is_good_refuses_what_is_not_and_answers_for_it(tmp_path, monkeypatch):
    monkeypatch.setenv("CLD_LIMITS__THREADS", "1")
    report_file = tmp_path / "demo-report.json"
    code = run(tmp_path / "root", report_file)
    report = json.loads(report_file.read_text())
    wrong = [check for check in report["checks"] if not check["ok"]]
    assert (code, report["ok"], wrong) == (0, True, [])
    assert [cycle["stage"] for cycle in report["cycles"]] == ["cpt", "cit", "ca", "cit"]
    assert [cycle["verdict"] for cycle in report["cycles"]][-1] == "reject"
    assert_books_balance_and_hashes_hold(Layout(tmp_path / "root"))


def assert_books_balance_and_hashes_hold(layout):
    store = Store(store_url(layout, load(layout)))
    with store.read() as tx:
        counts = pool.accounting(tx)["inbox"]
        known = versions.listing(tx)
        assert deployment.current(tx).version in {version.id for version in known}
    assert counts.read == counts.kept + counts.duplicate + counts.quarantined
    for version in known:
        verify(layout.version(version.id), version.digest)
    store.close()
