"""The constants a formula may pass to its functions, and how each kind is recognised."""

import ast
from collections.abc import Callable
from typing import Final

MAX_INTEGER: Final = 50
MAX_LIST: Final = 200
MAX_NUMBER: Final = 1e15

# Quotes and backslashes inside a level would end formulaic's own quoting.
_UNSAFE_IN_TEXT: Final = frozenset("\"'`\\{}\n\r\t\0")


def is_constant_of(kind: str, node: ast.expr) -> bool:
    """Whether the node is a constant of a kind of `transforms.Transform.options`."""
    check = _KINDS.get(kind)
    return check(node) if check else _text(node) in kind.split("|")


def describe_kind(kind: str) -> str:
    """What a constant of this kind must be, for a message."""
    return _WANTED.get(kind, " or ".join(map(repr, kind.split("|"))))


def is_number(node: ast.expr) -> bool:
    """A finite number of ordinary size, signed or not."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        node = node.operand
    return (
        isinstance(node, ast.Constant)
        and type(node.value) in (int, float)
        and abs(node.value) <= MAX_NUMBER  # type: ignore[arg-type]
    )


def _text(node: ast.expr) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _is_integer(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int and node.value <= MAX_INTEGER


def _is_flag(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, bool)


def _is_level(node: ast.expr) -> bool:
    text = _text(node)
    if text is not None:
        return not _UNSAFE_IN_TEXT.intersection(text)
    return is_number(node) or _is_flag(node)


def _each(check: Callable[[ast.expr], bool]) -> Callable[[ast.expr], bool]:
    return lambda node: (
        isinstance(node, (ast.List, ast.Tuple))
        and len(node.elts) <= MAX_LIST
        and all(map(check, node.elts))
    )


_KINDS: Final[dict[str, Callable[[ast.expr], bool]]] = {
    "integer": _is_integer,
    "number": is_number,
    "numbers": _each(is_number),
    "flag": _is_flag,
    "level": _is_level,
    "levels": _each(_is_level),
}
_WANTED: Final = {
    "integer": f"a whole number of at most {MAX_INTEGER}",
    "number": "a number",
    "numbers": f"a list of at most {MAX_LIST} numbers",
    "flag": "True or False",
    "level": "a level of the factor, without quotes or backslashes in it",
    "levels": f"a list of at most {MAX_LIST} levels, without quotes or backslashes in them",
}
