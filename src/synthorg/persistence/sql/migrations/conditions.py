"""What a CHECK or the expression of a generated column means, however a database writes it.

Databases give such expressions back in words of their own: with casts, other brackets and other
operators for the same. Both are parsed into one form, which is equal when the meaning is.
"""

import re
from collections.abc import Sequence
from typing import Final

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<text>(?:\b_\w+)?'(?:[^']|'')*')      # with a character set in front, as MySQL has it
    | (?P<number>\d+(?:\.\d+)?)
    | (?P<word>\w+|"[^"]+"|`[^`]+`)
    | (?P<sign>::|<>|!=|<=|>=|[-=<>(),\[\]])
    )""",
    re.VERBOSE,
)
_LONG_TYPES: Final = {
    "timestamp": (("with", "time", "zone"), ("without", "time", "zone")),
    "character": (("varying",),),
    "double": (("precision",),),
}
_COMPARISONS: Final = ("=", "<>", "<", ">", "<=", ">=")

Meaning = str | tuple["Meaning", ...]
"""A name, a literal, or an operator with what it is applied to."""


def meaning(expression: str) -> Meaning:
    """Parse an expression into a form that compares equal for every spelling of the same.

    Args:
        expression: The expression, of names, literals, comparisons, AND, OR, NOT, IN and CASE.

    Returns:
        The form; of an expression that has anything else, its text without needless blanks.
    """
    try:
        return _Parser(expression).parse()
    except (SyntaxError, IndexError):
        return " ".join(expression.split())


class _Parser:
    """Reads one expression from left to right, as the SQL grammar nests it."""

    def __init__(self, expression: str) -> None:
        self._tokens = _tokens(expression)
        self._at = 0

    def parse(self) -> Meaning:
        whole = self._either()
        if self._at < len(self._tokens):
            raise SyntaxError
        return whole

    def _either(self) -> Meaning:
        parts = [self._all()]
        while self._accept("or"):
            parts.append(self._all())
        return _joined("or", parts)

    def _all(self) -> Meaning:
        parts = [self._negation()]
        while self._accept("and"):
            parts.append(self._negation())
        return _joined("and", parts)

    def _negation(self) -> Meaning:
        return ("not", self._negation()) if self._accept("not") else self._comparison()

    def _comparison(self) -> Meaning:
        left = self._operand()
        while True:
            if self._accept("is"):
                negated = self._accept("not")
                self._expect("null")
                left = ("is not null" if negated else "is null", left)
            elif self._accept("in"):
                left = ("in", left, self._list("(", ")"))
            elif self._accept("not", "in"):
                left = ("not in", left, self._list("(", ")"))
            elif self._next() in _COMPARISONS:
                left = self._compared(left, self._take())
            else:
                return left

    def _compared(self, left: Meaning, sign: str) -> Meaning:
        for quantifier, comparison, name in (("any", "=", "in"), ("all", "<>", "not in")):
            if sign == comparison and self._accept(quantifier):
                self._expect("(")
                self._expect("array")
                members = self._list("[", "]")
                self._skip_casts()
                self._expect(")")
                return name, left, members
        return sign, left, self._operand()

    def _operand(self) -> Meaning:
        if self._accept("("):
            value = self._either()
            self._expect(")")
        elif self._accept("case"):
            value = self._case()
        elif self._accept("-"):
            value = ("-", self._take())
        else:
            value = self._take()
        self._skip_casts()
        return value

    def _case(self) -> Meaning:
        branches: list[Meaning] = []
        while self._accept("when"):
            condition = self._either()
            self._expect("then")
            branches.append((condition, self._either()))
        otherwise = self._either() if self._accept("else") else "null"
        self._expect("end")
        return "case", *branches, otherwise

    def _list(self, opening: str, closing: str) -> Meaning:
        self._expect(opening)
        members = [self._operand()]
        while self._accept(","):
            members.append(self._operand())
        self._expect(closing)
        return tuple(members)

    def _skip_casts(self) -> None:
        while self._accept("::"):
            for rest in _LONG_TYPES.get(self._take(), ()):
                if self._accept(*rest):
                    break
            if self._accept("("):
                self._take()
                self._expect(")")
            self._accept("[", "]")

    def _next(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self) -> str:
        token = self._tokens[self._at]
        self._at += 1
        return token

    def _accept(self, *tokens: str) -> bool:
        if tuple(self._tokens[self._at : self._at + len(tokens)]) != tokens:
            return False
        self._at += len(tokens)
        return True

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise SyntaxError


def _tokens(expression: str) -> Sequence[str]:
    tokens, end = [], len(expression.rstrip())
    at = 0
    while at < end:
        found = _TOKEN.match(expression, at)
        if found is None:
            raise SyntaxError
        at = found.end()
        if found["text"] is not None:
            tokens.append(found["text"][found["text"].index("'") :])
        elif found["word"] is not None:
            tokens.append(found["word"].strip('"`').lower())
        else:
            tokens.append("<>" if found[0].strip() == "!=" else found[0].strip())
    return tokens


def _joined(operator: str, parts: Sequence[Meaning]) -> Meaning:
    """Join what an operator combines, which brackets within do not change."""
    flat: list[Meaning] = []
    for part in parts:
        flat += part[1:] if isinstance(part, tuple) and part[:1] == (operator,) else [part]
    return flat[0] if len(flat) == 1 else (operator, *flat)
