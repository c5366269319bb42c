"""Guess how an answer goes on: most of it is copied from the text, or forced by its form.

A wrong guess costs no more than having checked it (see `copying`), so that simple rules serve: the
rest of a name that has begun, the punctuation that must follow, the type that names of such a shape
were given before, then the next name of the text.
"""

import json
import re
from collections import Counter, defaultdict
from typing import Any, DefaultDict, Dict, List, NamedTuple, Optional, Sequence

# Capitalised words and numbers in a row, with the small words that stand within names.
_WORD = r"(?:[^\W\d_a-zß-öø-ÿ]|\d)[\w'’.,:/%&-]*"
_NAME = re.compile(rf"{_WORD}(?: (?:(?:of|the|de|del|la|von|van|der) )*{_WORD})*")

_STRING = r'"((?:[^"\\]|\\.)*)"'
_PAIR = re.compile(rf"(?:\{{|, ){_STRING}: {_STRING}")
_KEY = re.compile(_STRING)
_EDGES = ".,:;’'"


class TypeMemory:
    """Which types names of a shape were given, over all answers so far."""

    def __init__(self) -> None:
        self._counts: DefaultDict[str, Counter] = defaultdict(Counter)

    def add(self, surface: str, type_: str) -> None:
        """Remember a pair.

        surface (str): A name.
        type_ (str): The type it was given.
        """
        self._counts[_shape(surface)][type_] += 1

    def guess(self, surface: str, types: Optional[Sequence[str]], begun: str) -> str:
        """Guess the type of a name.

        surface (str): The name.
        types (Optional[Sequence[str]]): The types to choose from, or None for open types.
        begun (str): How the type begins.
        RETURNS (str): The most frequent type that fits, else what has begun.
        """
        known = [type_ for type_, _ in self._counts[_shape(surface)].most_common()]
        for type_ in (*known, *(types or ())):
            if type_.startswith(begun) and (types is None or type_ in types):
                return type_
        return begun


def _shape(surface: str) -> str:
    """The kinds of its characters, repetitions once: "Ada Lovelace" is "Aa Aa"."""
    kinds = (
        "A" if char.isupper() else "a" if char.isalpha() else "0" if char.isdigit() else char
        for char in surface
    )
    return re.sub(r"(.)\1+", r"\1", "".join(kinds))[:12]


class _Begun(NamedTuple):
    """What is written of the pair at hand: its key, whether the key is whole, and its type."""

    key: str
    whole: bool
    type: str


class Drafter:
    """Guesses the rest of one answer."""

    def __init__(
        self, tokenizer: Any, text: str, types: Optional[Sequence[str]], memory: TypeMemory
    ) -> None:
        """tokenizer (PreTrainedTokenizerBase): The tokenizer of the base model.
        text (str): The text that the answer is about.
        types (Optional[Sequence[str]]): The types to choose from, or None for open types.
        memory (TypeMemory): What other answers taught. It learns from this one too.
        """
        self._tokenizer = tokenizer
        self._text = text
        self._types = types
        self._memory = memory
        self._names = [match.span() for match in _NAME.finditer(text)]
        self._pairs: Dict[str, str] = {}
        # How far in the text the last name stood.
        self._reached = 0
        self._last_token: Optional[int] = None
        # The last whole pair, and what is written behind it.
        self._before = ""
        self._tail = ""

    def add(self, token: int, piece: str) -> None:
        """Take in the next token of the answer.

        token (int): Its id.
        piece (str): What it writes.
        """
        self._last_token = token
        self._tail += piece
        pair = _PAIR.match(self._tail) if '"' in piece else None
        if pair:
            key, type_ = _unescape(pair[1]), _unescape(pair[2])
            self._before, self._tail = self._tail[: pair.end()], self._tail[pair.end() :]
            self._memory.add(key, type_)
            self._pairs[key] = type_
            self._reached = self._behind(key, self._reached)

    def propose(self, most: int) -> List[int]:
        """Guess the next tokens.

        most (int): How many at the most.
        RETURNS (List[int]): Their ids, or none where nothing can be guessed.
        """
        rest = self._rest()
        if most <= 0 or not rest:
            return []
        # Encoded with what stands before, since one token may hold the end of it.
        written = self._encode(self._before + self._tail)
        whole = self._encode(self._before + self._tail + rest)
        joined = whole[: len(written)] != written or written[-1:] != [self._last_token]
        drafted = self._encode(rest) if joined and written else whole[len(written) :]
        return drafted[:most]

    def _encode(self, text: str) -> List[int]:
        return self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)[
            "input_ids"
        ]

    def _rest(self) -> str:
        """What should follow: the pair at hand to its end, and the next one."""
        opening = ", " if self._before else "{"
        begun = self._begun(opening)
        key = begun.key if begun.whole else self._key(begun.key)
        if key is None:
            guess = "}" if self._before else "{}"
        else:
            guess = opening + self._pair(key, begun.type)
            reached = self._behind(key, self._reached)
            after = self._next_name(reached, {*self._pairs, key})
            guess += "}" if after is None else ", " + self._pair(after, "")
        return guess[len(self._tail) :] if guess.startswith(self._tail) else ""

    def _begun(self, opening: str) -> _Begun:
        body = self._tail.removeprefix(opening)
        key = _KEY.match(body)
        if key is None:
            return _Begun(_unescape(body.removeprefix('"')), False, "")
        behind = body[key.end() :]
        type_ = behind[3:] if behind.startswith(': "') else ""
        return _Begun(_unescape(key[1]), True, _unescape(type_))

    def _pair(self, key: str, begun: str) -> str:
        type_ = self._memory.guess(key, self._types, begun)
        # Without a type to guess, what comes before it can be guessed all the same.
        return f'"{_escape(key)}": "{_escape(type_)}' + ('"' if type_ != begun or begun else "")

    def _key(self, begun: str) -> Optional[str]:
        """The name that is written, as far as the text tells, or the next one."""
        if not begun:
            return self._next_name(self._reached, set(self._pairs))
        at = self._text.find(begun, self._reached)
        at = at if at >= 0 else self._text.find(begun)
        if at < 0:
            return begun
        end = at + len(begun)
        end += len(re.match(r"\w*", self._text[end:])[0])
        for start, stop in self._names:
            if start <= at < stop:
                end = max(end, stop)
        name = self._text[at:end].rstrip(_EDGES)
        return name if len(name) >= len(begun) else begun

    def _next_name(self, reached: int, known: Any) -> Optional[str]:
        for start, end in self._names:
            name = self._text[start:end].rstrip(_EDGES)
            if start >= reached and name not in known:
                return name
        return None

    def _behind(self, name: str, reached: int) -> int:
        at = self._text.find(name, reached)
        return at + len(name) if at >= 0 else reached


def _escape(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _unescape(text: str) -> str:
    try:
        return json.loads(f'"{text}"', strict=False)
    except ValueError:
        return text
