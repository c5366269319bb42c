"""Let a model choose among given types: a trie of their tokens masks the position of the type.

A trie is a dict of token ids to subtrees; an empty subtree ends a type. It holds each type as the
tokenizer writes it inside an answer, up to its closing quote, since this is what the model was
trained to write.
"""

import json
import re
from typing import Any, Dict, FrozenSet, Optional, Sequence, Set

Trie = Dict[int, "Trie"]

# A token that writes the colon, the opening quote and already some of the type.
_RUNS_INTO_TYPE = re.compile(r':\s*".', re.DOTALL)


class TypeTries:
    """The tries of some types."""

    def __init__(self, tokenizer: Any, types: Sequence[str]) -> None:
        """tokenizer (PreTrainedTokenizerBase): The tokenizer of the base model.
        types (Sequence[str]): The types.
        """
        self._tokenizer = tokenizer
        self._values = [json.dumps(name, ensure_ascii=False) for name in types]
        self._tries: Dict[str, Trie] = {}
        decode = tokenizer.backend_tokenizer.decode
        # Never to be written where any token may stand: the mask would come too late.
        self.forbidden: FrozenSet[int] = frozenset(
            token
            for token in tokenizer.get_vocab().values()
            if _RUNS_INTO_TYPE.search(decode([token]))
        )

    def behind(self, written: str) -> Trie:
        """Find how the answer can go on.

        written (str): What stands behind the colon of a pair so far.
        RETURNS (Trie): The types that fit, from there on.
        """
        if written not in self._tries:
            trie: Trie = {}
            for value in self._values:
                if not written:
                    self._insert(trie, '{"a":', f" {value}")
                elif value.startswith(written.lstrip()):
                    self._insert(trie, "", value[len(written.lstrip()) :])
            self._tries[written] = trie
        return self._tries[written]

    def _insert(self, trie: Trie, before: str, value: str) -> None:
        closing = len(before) + len(value) - 1
        # What follows a closing quote may be one token with it.
        for after in (', "b": "c"}', "}", ""):
            encoded = self._tokenizer(
                before + value + after,
                add_special_tokens=False,
                split_special_tokens=True,
                return_offsets_mapping=True,
            )
            node = trie
            for token, (start, end) in zip(
                encoded["input_ids"], encoded["offset_mapping"], strict=True
            ):
                if end > len(before) and start <= closing:
                    node = node.setdefault(token, {})


class TypePosition:
    """Follows one answer token by token, and knows which tokens may come next."""

    def __init__(self, tries: TypeTries) -> None:
        """tries (TypeTries): Of the given types."""
        self._tries = tries
        self._node: Optional[Trie] = None
        self._behind_colon = ""
        self._in_string = False
        self._escaped = False
        self._after_colon = False
        self._in_type = False

    @property
    def allowed(self) -> Optional[Set[int]]:
        """RETURNS (Optional[Set[int]]): Ids of the tokens that may come next, None for any but
        `TypeTries.forbidden`.
        """
        return set(self._node) if self._node else None

    def add(self, token: int, piece: str) -> None:
        """Take in the next token of the answer.

        token (int): Its id.
        piece (str): What it writes, behind the tokens before it.
        """
        for char in piece:
            self._read(char)
        if not (self._after_colon or self._in_type):
            self._node = None
        elif self._node:
            self._node = self._node.get(token)
        else:
            self._node = self._tries.behind(self._behind_colon)

    def _read(self, char: str) -> None:
        if self._after_colon or self._in_type:
            self._behind_colon += char
        if self._in_string:
            self._read_in_string(char)
        elif char == '"':
            self._in_string, self._in_type = True, self._after_colon
            self._after_colon = False
        elif not char.isspace():
            self._after_colon = char == ":"
            self._behind_colon = ""

    def _read_in_string(self, char: str) -> None:
        if self._escaped:
            self._escaped = False
        elif char == "\\":
            self._escaped = True
        elif char == '"':
            self._in_string = self._in_type = False
