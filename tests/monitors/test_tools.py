"""Tools: what they compute, what they refuse, and that none of them can hang, break or take over whoever runs it."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitors.tools import TOOLS, tools_of
from monitors.tools.contract import ToolError
from monitors.tools.lookup import Lookup
from monitors.tools.running import Runner
from tests.monitors import planted_tools

CALCULATOR, DATE = tools_of({"calculator": {}, "date": {}})
ORDERS = Lookup(entries={"A-17": "shipped", "B-2": {"state": "lost", "days": 3}})


def said(tool, **arguments):
    return tool.run(tool.validated(arguments))


@pytest.mark.parametrize(("expression", "value"), [
    ("3 + 4", "7"), ("-(2 - 5) * 4", "12"), ("90 / 8", "11.25"), ("2 ** 10", "1024"), ("2^3", "8"), ("7 // 2 % 2", "1"),
    ("12 × 7", "84"), ("1 / 3", "0.3333333333"),
])  # fmt: skip
def test_the_calculator_computes(expression, value):
    assert said(CALCULATOR, expression=expression) == value


@pytest.mark.parametrize("expression", [
    "__import__('os').system('true')", "(1).__class__", "[1]*9", "'a'*9", "9**9**9**9", "1e300*1e300", "2**-0.5j",
    "True", "1/0", "(-8)**0.5", "3 +", "", "x", "1" * 201, "9" * 150, "f'{1}'", "lambda: 1", "(" * 200, "1 if 1 else 2",
])  # fmt: skip
def test_the_calculator_refuses_what_is_no_small_arithmetic(expression):
    with pytest.raises(ToolError):
        said(CALCULATOR, expression=expression)


@given(st.text("0123456789.+-*/%() e_", max_size=40))
def test_no_expression_gets_more_out_of_the_calculator_than_a_number_or_a_refusal(expression):
    try:
        float(said(CALCULATOR, expression=expression))
    except ToolError as error:
        assert str(error)


def test_dates_are_added_counted_and_named():
    assert said(DATE, operation="add", date="2024-02-28", days=2) == "2024-03-01"
    assert said(DATE, operation="between", date="2024-03-01", other="2024-02-01") == "-29"
    assert said(DATE, operation="weekday", date="2026-11-22") == "Sunday"


@pytest.mark.parametrize(("arguments", "told"), [
    ({"operation": "add", "date": "2024-02-30", "days": 1}, "date:"),
    ({"operation": "add", "date": "2024-02-01"}, "needs 'days'"),
    ({"operation": "between", "date": "2024-02-01"}, "needs 'other'"),
    ({"operation": "add", "date": "9999-12-31", "days": 1}, "outside of the years"),
    ({"operation": "weekday", "date": "2024-02-01", "zone": "UTC"}, "zone"),
])  # fmt: skip
def test_a_date_that_does_not_exist_or_is_not_asked_for_in_full_is_refused(arguments, told):
    with pytest.raises(ToolError, match=told):
        said(DATE, **arguments)


def test_an_entry_is_found_by_its_key_or_by_the_nearest_which_is_then_named():
    assert said(ORDERS, key=" a-17 ") == "shipped"
    assert said(ORDERS, key="A-18") == "A-17: shipped"
    assert said(ORDERS, key="b-2") == '{"state": "lost", "days": 3}'
    with pytest.raises(ToolError, match="no entry like 'Zanzibar'"):
        said(ORDERS, key="Zanzibar")


def test_entries_are_read_from_lines_and_a_line_that_is_none_is_named(tmp_path):
    file = tmp_path / "orders.jsonl"
    file.write_text('{"key": "A", "value": 1}\n\n{"key": "A", "value": 2}\n')
    assert Lookup.of_file(file).entries == {"A": 2}
    file.write_text('{"key": "A", "value": 1}\n{"key": 3}\n')
    with pytest.raises(ValueError, match=r"orders.jsonl, line 2: is not"):
        Lookup.of_file(file)


def test_every_tool_is_told_by_its_own_name_and_shows_examples_that_it_answers():
    configured = {"lookup": {"entries": {key: "x" for _, example in Lookup.examples for key in example.values()}}}
    for name, kind in TOOLS.items():
        (tool,) = tools_of({name: configured.get(name, {})})
        assert kind.name == name == tool.spec()["function"]["name"]
        assert all(tool.run(tool.validated(arguments)) for _, arguments in tool.examples)


@pytest.mark.parametrize(("given", "told"), [
    ({"calculater": {}}, "did you mean 'calculator'"), ({"lookup": {}}, "entries"), ({"date": {"zone": "UTC"}}, "zone"),
])  # fmt: skip
def test_an_unknown_tool_or_a_wrong_configuration_is_named(given, told):
    with pytest.raises(ValueError, match=told):
        tools_of(given)


@pytest.mark.slow
def test_a_tool_that_hangs_breaks_hoards_or_dies_costs_one_call_and_the_next_is_answered():
    with Runner(seconds=0.5) as runner:
        assert runner.run(CALCULATOR, {"expression": "1 + 1"}) == ("2", False)
        assert runner.run(planted_tools.Hangs(), {}) == ("planted took longer than 0.5 s", True)
        assert runner.run(planted_tools.Breaks(), {}) == ("planted broke: KeyError: 'missing'", True)
        assert runner.run(planted_tools.Hoards(), {}) == ("planted broke: MemoryError: ", True)
        assert runner.run(planted_tools.Dies(), {}) == ("planted used up what a tool may use", True)
        assert runner.run(CALCULATOR, {"expression": "1 + 2"}) == ("3", False)
    assert runner.run(planted_tools.Breaks(), {"more": 1}).text.startswith("wrong arguments of planted: more")


_HANGING = """
from monitors.tools.calculator import Calculator
from monitors.tools.running import Runner
from tests.monitors.planted_tools import Hangs

if __name__ == "__main__":
    with Runner(seconds=600) as runner:
        runner.run(Calculator(), {"expression": "1"})
        print(runner._process.pid, flush=True)
        runner.run(Hangs(), {})
"""


@pytest.mark.slow
def test_the_process_that_runs_tools_dies_with_a_killed_worker_even_while_a_tool_hangs(tmp_path):
    script = tmp_path / "hanging.py"
    script.write_text(_HANGING)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, env=environment, text=True) as worker:
        tools = psutil.Process(int(worker.stdout.readline()))
        worker.kill()
    tools.wait(timeout=10)
