"""Sketches of code, and the two corpora that CERT makes of them."""

import ast

import pytest

from learners import weights
from learners.failures import InvalidInput
from learners.parts.sketch import blocks, sketched
from tests.learners.runs import TEXTS, text, train

CODE = '''import pandas as pd

@cached(60)
def top_rows(frame, count=5):
    """Rows with the highest price."""
    best = frame.sort_values("price", ascending=False)
    print(f"{count} rows at {1.5}")
    return best.head(count)


class Shop:
    def total(self):
        return self.total() + 3j if b"x" else top_rows(self.frame)[0]
'''


@pytest.mark.parametrize("block", blocks(CODE))
def test_a_sketch_parses_and_the_sketch_of_a_sketch_is_itself(block):
    sketch = sketched(block)
    assert ast.parse(sketch)
    assert sketched(sketch) == sketch


def test_made_up_names_and_literals_are_replaced_and_the_library_stays():
    function, shop = (sketched(block) for block in blocks(CODE)[1:])
    assert "def func(frame, count=number)" in function and "sort_values('string', ascending=False)" in function
    assert "Rows with the highest price." in function and "print('string')" in function and "cached(number)" in function
    assert "class AnClass" in shop and "self.func() + imaginary if b'bytes' else" in shop


def test_blocks_are_cut_where_statements_begin_and_end():
    assert "\n".join(blocks(CODE)).replace("\n", "") == CODE.replace("\n", "")
    assert blocks("no python at all") is None


def test_a_block_of_imports_or_of_a_main_program_is_left_as_it_is():
    for block in ("if True:\n    import a\n    import b", "if __name__ == '__main__':\n    run(5)"):
        assert sketched(block) == block


@pytest.mark.parametrize(("role", "holds_code"), [("sketcher", False), ("generator", True)])
def test_a_sketcher_never_sees_the_code_and_a_generator_sees_every_block(base, tmp_path, role, holds_code):
    from learners.methods.cert import _view

    view = _view(CODE, role)
    assert ("class AnClass" in view) and (("class Shop" in view) == holds_code)
    result, version = train(tmp_path / role, base, "cpt", "cert", [text(CODE), *TEXTS], role=role, epochs=1)
    assert result.records == 1
    assert weights.load(version).version.adapter is not None


def test_a_selection_without_code_is_refused(base, tmp_path):
    with pytest.raises(InvalidInput, match="parses as Python"):
        train(tmp_path / "none", base, "cpt", "cert", [text("This is no code at all.")], epochs=1)
