"""Sketches of Python code: its shape, without what its author made up.

Owns the map from a file to its blocks and from a block to its sketch: names of functions and classes that the block
defines become `func` and `AnClass`, literals become fixed words of their type. Names from elsewhere (the library that
is learned), variables and docstrings stay. A sketch parses, and the sketch of a sketch is itself. Owns also the form in
which a generator learns a block, and is asked for one.

Source: Zan et al. 2022, CERT (arXiv:2206.06888), whose sketcher this follows in its default form.
"""

from __future__ import annotations

import ast
import re

__all__ = ["BLOCK_END", "beside_its_sketch", "blocks", "request_to_write", "sketched"]

BLOCK_END = "\n\n"
"""What stands between two blocks of a sketcher's text, and of a generator's."""

_DETAIL = re.compile(r"""\b(?:func|AnClass|number|decimal|imaginary)\b|'string'|b'bytes'""")


def blocks(code: str) -> list[str] | None:
    """The top-level statements of a file, as they are written; None where it is no Python."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError):
        return None
    lines = code.splitlines()
    return ["\n".join(lines[_first_line(node) - 1 : node.end_lineno]) for node in tree.body]


def _first_line(node: ast.stmt) -> int:
    """Of the statement with its decorators."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def sketched(block: str) -> str:
    """The sketch of a block; the block itself where it imports twice or more, or asks for `__name__`.

    Raises:
        SyntaxError: the block is no Python.
    """
    tree = ast.parse(block)
    imports = sum(isinstance(node, (ast.Import, ast.ImportFrom)) for node in ast.walk(tree))
    if imports >= 2 or any(isinstance(node, ast.Name) and node.id == "__name__" for node in ast.walk(tree)):
        return block
    return ast.unparse(ast.fix_missing_locations(_Sketcher(tree).visit(tree)))


def beside_its_sketch(block: str) -> str:
    """A block as a generator learns it: behind its sketch, or alone where they are equal."""
    sketch = sketched(block)
    return block if sketch == block else f"{sketch}\n{block}"


def request_to_write(prompt: str, draft: str) -> str | None:
    """What a generator continues with the code, once a sketcher has continued the prompt with a draft.

    Args:
        prompt: code up to anywhere inside a block; blocks before it end with an empty line.
        draft: the sketcher's continuation, up to the end of that block.

    Returns:
        The blocks before, the sketch of the block, and the block's beginning again; None where no detail is left open,
        so that the draft is the answer.
    """
    if not _DETAIL.search(draft):
        return None
    before, end, beginning = prompt.rpartition(BLOCK_END)
    try:
        sketch = sketched(beginning + draft)
    except SyntaxError:
        sketch = beginning + draft
    return f"{before}{end}{sketch}\n{beginning}"


class _Sketcher(ast.NodeTransformer):
    def __init__(self, tree: ast.AST) -> None:
        self._names: dict[str, str] = {}
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("__"):
                self._names[node.name] = "func"
            elif isinstance(node, ast.ClassDef):
                self._names[node.name] = "AnClass"

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Rename definitions, and leave docstrings and match patterns alone."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            node.name = self._names.get(node.name, node.name)
        if isinstance(node, ast.pattern) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            return node
        return super().generic_visit(node)

    def visit_Name(self, node: ast.Name) -> ast.AST:
        """A name that the block defines."""
        return ast.copy_location(ast.Name(self._names.get(node.id, node.id), node.ctx), node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        """A method that the block defines, called on `self`."""
        node.value = self.visit(node.value)
        if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
            node.attr = self._names.get(node.attr, node.attr)
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        """A formatted string."""
        return ast.Constant("string")

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        """A literal; True, False, None and ... are no detail."""
        value = node.value
        if isinstance(value, bool) or value is None or value is ...:
            return node
        if isinstance(value, (str, bytes)):
            return ast.Constant("string" if isinstance(value, str) else b"bytes")
        return ast.Name({"int": "number", "float": "decimal"}.get(type(value).__name__, "imaginary"), ast.Load())
