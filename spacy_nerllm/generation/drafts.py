"""Guess how an answer goes on: most of it is copied from the text, or forced by its form.

A wrong guess costs no more than having checked it (see `copying`), so that simple rules serve: the
rest of a name that has begun, the punctuation that must follow, the type that the model hinted at
or that such names were given before, then the next name of the text.
"""

import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from .hints import Hints
from .strings import STRING, escape, unescape
from .types_seen import Mention, TypeMemory

# Capitalised words and numbers in a row, with the small words that stand within names.
_WORD = r"(?:[^\W\d_a-zß-öø-ÿ]|\d|[@#]\w)[\w'’.,:/%&-]*"
_NAME = re.compile(rf"{_WORD}(?: (?:(?:of|the|for the|on the|de|del|la|von|van|der) )*{_WORD})*")

# Capitalised for the start of a sentence alone.
_STARTS = frozenset(
    "a after also although an and as at because before both but by during each for from he her his "
    "how however i if in into it its many most my no of on one or other our she since so some such "
    "that the their then there these they this those to under until we what when where which while "
    "who with you your am an auf aus bei das dem den der des die ein eine er es für im in ist mit "
    "nach sie und vom von vor wir zu zum zur a al con de del el en esta este la las lo los para "
    "pero por que se sin su un una y".split()
)

_SENTENCE_START = re.compile(r"(?:^|[.!?:\n\"“])\s*\Z")

_PAIR = re.compile(rf"(?:\{{|, ){STRING}: {STRING}")
_KEY = re.compile(STRING)

# An answer that is no map is copied from itself, where so many tokens are the same.
_REPEATED = 3

# About how many characters a token of an answer has.
_TOKEN_LENGTH = 4

_EDGES = ".,:;’'"


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
        self._starts = [_behind_article(text, *name) for name in self._names]
        self._pairs: List[Tuple[str, str]] = []
        self._known: Dict[str, str] = {}
        # How far in the text the last name stood.
        self._reached = 0
        self._tokens: List[int] = []
        # The last whole pair, and what is written behind it.
        self._before = ""
        self._tail = ""
        # Both when the last tokens were guessed.
        self._shown = ""
        self._hints = Hints()

    def add(self, token: int, piece: str) -> None:
        """Take in the next token of the answer.

        token (int): Its id.
        piece (str): What it writes.
        """
        self._tokens.append(token)
        behind_pair = bool(self._pairs) and not self._tail
        self._tail += piece
        pair = _PAIR.match(self._tail) if '"' in piece else None
        if pair:
            key, type_ = unescape(pair[1]), unescape(pair[2])
            self._before, self._tail = self._tail[: pair.end()], self._tail[pair.end() :]
            self._memory.add(self._mention(key, self._pairs), type_)
            self._pairs.append((key, type_))
            self._known[key] = type_
            self._reached = self._behind(key, self._reached)
        # What ends a pair and what follows may be one token.
        if self._tail and (pair or behind_pair):
            self._learn_end()

    def _learn_end(self) -> None:
        """Whether answers end behind the last name of their text is a habit of the adapter's."""
        if self._next_key(self._reached, self._pairs) is None:
            self._memory.add_end(self._tail.startswith("}"))

    def propose(self, most: int) -> List[int]:
        """Guess the next tokens.

        most (int): How many at the most.
        RETURNS (List[int]): Their ids, or none where nothing can be guessed.
        """
        rest = self._rest(most)
        self._shown = self._before + self._tail
        if not rest:
            return self._repeat()[: max(0, most)]
        # Encoded with what stands before, since one token may hold the end of it.
        written = self._encode(self._shown)
        whole = self._encode(self._shown + rest)
        joined = whole[: len(written)] != written or written[-1:] != self._tokens[-1:]
        drafted = self._encode(rest) if joined and written else whole[len(written) :]
        if rest.endswith("}"):
            drafted.append(self._tokenizer.eos_token_id)
        return drafted[: max(0, most)]

    def learn(self, guesses: Sequence[int], held: int, following: Sequence[int]) -> None:
        """Take in what the model would have written behind guesses that did not hold.

        guesses (Sequence[int]): Ids of the tokens that were guessed.
        held (int): How many of them held.
        following (Sequence[int]): Ids of the tokens that it would have written behind each.
        """
        decode = self._tokenizer.backend_tokenizer.decode
        for count in range(held + 1, len(guesses) + 1):
            written = self._shown + decode(guesses[:count])
            self._hints.learn(written, decode([following[count - 1]]))

    def _repeat(self) -> List[int]:
        """What followed the last tokens when they were written before."""
        if self._tail.startswith("}"):
            return [self._tokenizer.eos_token_id]
        last = self._tokens[-_REPEATED:]
        for start in range(len(self._tokens) - _REPEATED - 1, -1, -1):
            if self._tokens[start : start + _REPEATED] == last:
                return self._tokens[start + _REPEATED :]
        return []

    def _encode(self, text: str) -> List[int]:
        return self._tokenizer(text, add_special_tokens=False, split_special_tokens=True)[
            "input_ids"
        ]

    def _rest(self, most: int) -> str:
        """What should follow, about so many tokens: the rest of this pair, and the next ones."""
        if self._tail.startswith("}"):
            return ""
        guess = ", " if self._before else "{"
        begun = self._begun(guess)
        key = begun.key if begun.whole else self._key(begun.key)
        type_, pairs, reached = begun.type, list(self._pairs), self._reached
        while key is not None and len(guess) < most * _TOKEN_LENGTH:
            type_ = self._type(key, type_, pairs)
            guess += f'"{escape(key)}": "{escape(type_)}'
            if not type_:
                # Without a type to guess, what comes before it can be guessed all the same.
                break
            guess += '", '
            pairs.append((key, type_))
            reached = self._behind(key, reached)
            key, type_ = self._after(reached, pairs), ""
        if key is None:
            guess = guess.removesuffix(", ") + ("}" if pairs else "{}")
        return guess[len(self._tail) :] if guess.startswith(self._tail) else ""

    def _after(self, reached: int, pairs: List[Tuple[str, str]]) -> Optional[str]:
        """The name behind these pairs: as the model hinted, or as the text has it."""
        hint = self._hints.following(pairs[-1][0]) if pairs else None
        if hint == "":
            return None
        if hint:
            return self._name_from(unescape(hint), reached)
        found = self._next_key(reached, pairs)
        return self._word() if found is None and self._memory.goes_on() else found

    def _begun(self, opening: str) -> _Begun:
        if opening.startswith(self._tail):
            return _Begun("", False, "")
        body = self._tail.removeprefix(opening)
        key = _KEY.match(body)
        if key is None:
            return _Begun(unescape(body.removeprefix('"')), False, "")
        behind = body[key.end() :]
        type_ = behind[3:] if behind.startswith(': "') else ""
        return _Begun(unescape(key[1]), True, unescape(type_))

    def _type(self, key: str, begun: str, pairs: List[Tuple[str, str]]) -> str:
        """The type of a name: as it was before, else as the model hinted, else the likeliest."""
        type_ = self._known.get(key, "")
        if type_ and type_.startswith(begun):
            return type_
        hint = self._hints.type_of(key)
        begun = hint if hint.startswith(begun) else begun
        return self._memory.guess(self._mention(key, pairs), self._types, begun)

    def _mention(self, key: str, pairs: List[Tuple[str, str]]) -> Mention:
        at = self._text.find(key, self._reached)
        at = at if at >= 0 else self._text.find(key)
        last = pairs[-1][1] if pairs else ""
        if at < 0:
            return Mention(key, "", "", last)
        end = at + len(key)
        return Mention(key, self._text[max(0, at - 30) : at], self._text[end : end + 30], last)

    def _key(self, begun: str) -> Optional[str]:
        """The name that is written, as far as the text tells, or the next one."""
        if begun:
            return self._name_from(begun, self._reached)
        found = self._after(self._reached, self._pairs)
        return found or (self._word() if self._tail else None)

    def _name_from(self, begun: str, reached: int) -> str:
        """The name of the text that begins so."""
        at = self._find(begun, reached)
        if at < 0:
            return begun
        end = at + len(begun)
        end += len(re.match(r"\w*", self._text[end:])[0])
        for start, stop in self._names:
            if start <= at < stop:
                end = max(end, stop)
        name = self._text[at:end].rstrip(_EDGES)
        return name if len(name) >= len(begun) else begun

    def _find(self, begun: str, reached: int) -> int:
        """Where a name that begins so stands: at the start of a word, behind the last name and
        not written yet, as far as there is such a place.
        """
        words = re.compile(
            rf"(?<!\w){re.escape(begun)}" if begun[0].isalnum() else re.escape(begun)
        )
        match = words.search(self._text, reached) or words.search(self._text)
        return match.start() if match else self._text.find(begun)

    def _next_key(self, reached: int, pairs: List[Tuple[str, str]]) -> Optional[str]:
        """The key behind these pairs: in an answer that repeats itself the one that followed
        before, else the next name of the text.
        """
        keys = [key for key, _ in pairs]
        if keys and keys[-1] in keys[:-1]:
            return keys[keys.index(keys[-1]) + 1]
        known = set(keys)
        for start, (_, end) in zip(self._starts, self._names, strict=True):
            name = self._text[start:end].rstrip(_EDGES)
            if start >= reached and name and name not in known:
                return name
        return None

    def _word(self) -> Optional[str]:
        """A word that is no name by its form, behind the last name."""
        for word in re.finditer(r"\w[\w-]{3,}", self._text[self._reached :]):
            if word[0].lower() not in _STARTS and word[0] not in self._known:
                return word[0]
        return None

    def _behind(self, name: str, reached: int) -> int:
        at = self._text.find(name, reached)
        return at + len(name) if at >= 0 else reached


def _behind_article(text: str, start: int, end: int) -> int:
    """Where a name begins that starts a sentence with a word that is none."""
    first = re.match(r"\w+", text[start:end])
    if first is None or first[0].lower() not in _STARTS or not _SENTENCE_START.search(text[:start]):
        return start
    behind = start + first.end()
    return behind + len(re.match(r"[\W_]*", text[behind:end])[0])
