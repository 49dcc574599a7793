"""The shape of a formula: its characters, tokens, brackets and number of terms.

Everything here reads the text only. It bounds what parsing would cost before
formulaic expands a single interaction.
"""

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from formulaic.errors import FormulaicError
from formulaic.parser.algos.tokenize import tokenize
from formulaic.parser.types import ASTNode, Token

from aibmd.errors import FormulaError
from aibmd.model.factor import MAX_DEPTH, MAX_POWER

MAX_CHARACTERS: Final = 2_000
MAX_TERMS: Final = 2_000

_EMPTY_QUOTE: Final = re.compile(r"\{\s*\}|%\s*%|``")
_OPERATORS: Final = frozenset({"~", "~+", "~-", "+", "-", "+-", "-+", "*", "/", ":", "**", "^"})
_POWERS: Final = frozenset({"**", "^"})
_SUMS: Final = frozenset({"~", "~+", "~-", "+", "-", "+-", "-+"})


def check_text(text: object) -> None:
    """Refuse what is not short, visible text."""
    if not isinstance(text, str):
        raise FormulaError(
            f"A formula is text such as 'bmd ~ arm * visit'; got {type(text).__name__}."
        )
    if len(text) > MAX_CHARACTERS:
        raise FormulaError(
            f"The formula has {len(text):,} characters; at most {MAX_CHARACTERS:,} are read. "
            f"Combine or derive columns of the table first."
        )
    for position, character in enumerate(text):
        if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co"} and character not in "\n\t":
            raise FormulaError(
                f"The formula holds the invisible character U+{ord(character):04X} at position "
                f"{position + 1}. Type the formula again without it."
            )


def read_tokens(text: str) -> list[Token]:
    """Split the text as formulaic does; nothing is evaluated."""
    # formulaic passes over an empty pair without a token, so it would not be seen later.
    empty = _EMPTY_QUOTE.search(text)
    if empty:
        raise FormulaError(
            f"{empty.group()!r} at position {empty.start() + 1} of the formula is empty; remove it."
        )
    try:
        return list(tokenize(text))
    except FormulaicError as reason:
        raise unreadable(text, reason) from None


def find_tilde(tokens: Sequence[Token]) -> int:
    """Index of the one ``~``, after every operator was found to be allowed."""
    operators = [token for token in tokens if token.kind is Token.Kind.OPERATOR]
    for token in operators:
        if "|" in token.token:
            raise FormulaError(
                f"'|'{where(token)} is not part of a fixed-effects formula. Random effects "
                f"go into random= of fit_lmm, for example random='1 + time'."
            )
        if token.token not in _OPERATORS:
            raise _refuse_operator(token)
    tildes = [index for index, token in enumerate(tokens) if _is_operator(token, {"~", "~+", "~-"})]
    if len(tildes) != 1:
        raise FormulaError(
            f"A formula has one '~' between response and terms, as in 'bmd ~ arm * visit'; this "
            f"one has {len(tildes)}."
        )
    return tildes[0]


def _refuse_operator(token: Token) -> FormulaError:
    return FormulaError(
        f"{token.token!r}{where(token)} is not an operator of formulas. Use + - * / : ** ( ) "
        f"and one ~; arithmetic on columns goes inside I(...)."
    )


def check_structure(tokens: Sequence[Token], tilde: int) -> None:
    """One response on the left, terms on the right, constants where they mean something."""
    if tilde != 1 or tokens[0].kind not in (Token.Kind.NAME, Token.Kind.PYTHON):
        raise FormulaError(
            "The left-hand side of a formula is one column or one function of it, such as 'bmd', "
            "'log(bmd)' or 'I(bmd - baseline_bmd)'."
        )
    if tilde == len(tokens) - 1:
        raise FormulaError("The right-hand side of '~' is empty. Write 1 for a mean alone.")
    depth = 0
    for index, token in enumerate(tokens):
        if token.token == ".":
            raise FormulaError(
                f"'.'{where(token)} for all other columns is not offered: a model names its "
                f"terms. List the columns."
            )
        if token.kind is Token.Kind.CONTEXT:
            depth += 1 if token.token == "(" else -1
        if token.kind is Token.Kind.CONTEXT and token.token in "[]":
            raise FormulaError(
                f"{token.token!r}{where(token)} has no meaning in a formula; use round brackets."
            )
        if depth > MAX_DEPTH:
            raise FormulaError(
                f"The formula nests brackets more than {MAX_DEPTH} deep{where(token)}. Write the "
                f"terms out."
            )
        if depth < 0:
            raise FormulaError(f"')'{where(token)} closes no bracket.")
        if token.kind is Token.Kind.VALUE:
            _check_value(token, tokens[index - 1], [*tokens[index + 1 : index + 2]], depth)
    if depth:
        raise FormulaError("A '(' of the formula is not closed.")


def _check_value(token: Token, before: Token, after: list[Token], depth: int) -> None:
    if _is_operator(before, _POWERS):
        if token.token not in {str(power) for power in range(1, MAX_POWER + 1)}:
            raise FormulaError(
                f"The power {token.token}{where(token)} is not a whole number from 1 to "
                f"{MAX_POWER}."
            )
        return
    # Inside brackets formulaic and R read 0 and -1 differently, so neither is offered.
    ends = not after or _is_operator(after[0], _SUMS)
    if token.token not in {"0", "1"} or depth or not (_is_operator(before, _SUMS) and ends):
        raise FormulaError(
            f"The constant {token.token}{where(token)} is not a term. Only 0, 1 and -1 (for the "
            f"intercept, outside brackets) and powers are; scale a column inside I(...)."
        )


def check_expansion(tree: ASTNode | Token | None) -> None:
    """Bound terms and powers from the syntax tree, before anything is expanded."""
    order: list[ASTNode] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ASTNode):
            order.append(node)
            waiting.extend(node.args)
    terms: dict[int, int] = {}
    power: dict[int, int] = {}
    for node in reversed(order):
        terms[id(node)] = _count_terms(node, terms)
        power[id(node)] = _total_power(node, power)
        if terms[id(node)] > MAX_TERMS or power[id(node)] > MAX_POWER:
            raise FormulaError(
                f"The formula expands to more than {MAX_TERMS:,} terms, or its powers multiply "
                f"to more than {MAX_POWER}. Keep the interactions the question needs."
            )


def _count_terms(node: ASTNode, terms: Mapping[int, int]) -> int:
    sizes = [terms.get(id(argument), 1) for argument in node.args]
    symbol = node.operator.symbol
    if symbol in _POWERS:
        return math.prod([sizes[0]] * _exponent(node))
    if symbol == ":":
        return sizes[0] * sizes[1]
    if symbol == "*":
        return sizes[0] + sizes[1] + sizes[0] * sizes[1]
    return sum(sizes)


def _total_power(node: ASTNode, power: Mapping[int, int]) -> int:
    highest = max(power.get(id(argument), 1) for argument in node.args)
    return highest * _exponent(node) if node.operator.symbol in _POWERS else highest


def _exponent(node: ASTNode) -> int:
    exponent = node.args[1]
    if isinstance(exponent, Token) and exponent.kind is Token.Kind.VALUE:
        return int(exponent.token)
    raise FormulaError(f"A power in a formula must be a whole number from 1 to {MAX_POWER}.")


def _is_operator(token: Token, symbols: Iterable[str]) -> bool:
    return token.kind is Token.Kind.OPERATOR and token.token in symbols


def unreadable(text: str, reason: Exception) -> FormulaError:
    """Word the error for text formulaic cannot parse."""
    first_line = next(iter(str(reason).splitlines()), type(reason).__name__)
    return FormulaError(f"The formula {shorten(text)!r} cannot be read: {first_line}")


def where(token: Token) -> str:
    """Where a token starts, counted from one."""
    return f" at position {token.source_start + 1}" if token.source_start is not None else ""


def shorten(text: str) -> str:
    """Keep a quoted formula on one line."""
    return text if len(text) <= 80 else f"{text[:77]}..."
