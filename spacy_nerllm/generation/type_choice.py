"""Let a model choose among given types: a trie of their tokens masks the position of the type.

The trie is a dict of token ids to subtrees; an empty subtree ends a type. It holds each type as
the tokenizer writes it inside an answer, from the colon to its closing quote, since this is what
the model was trained to write.
"""

import json
from typing import Any, Dict, List, Optional, Sequence, Set

from tokenizers.decoders import DecodeStream

Trie = Dict[int, "Trie"]


def build_trie(tokenizer: Any, types: Sequence[str]) -> Trie:
    """Build the trie of some types.

    tokenizer (PreTrainedTokenizerBase): The tokenizer of the base model.
    types (Sequence[str]): The types.
    RETURNS (Trie): Its root stands behind the colon of a pair.
    """
    root: Trie = {}
    before = '{"a":'
    for name in types:
        value = " " + json.dumps(name, ensure_ascii=False)
        closing = len(before) + len(value) - 1
        # What follows a closing quote may be one token with it.
        for after in (', "b": "c"}', "}", ""):
            encoded = tokenizer(
                before + value + after, add_special_tokens=False, return_offsets_mapping=True
            )
            node = root
            for token, (start, end) in zip(encoded["input_ids"], encoded["offset_mapping"]):
                if end > len(before) and start <= closing:
                    node = node.setdefault(token, {})
    return root


class TypePosition:
    """Follows one answer token by token, and knows which tokens may come next."""

    def __init__(self, tokenizer: Any, root: Trie) -> None:
        """tokenizer (PreTrainedTokenizerBase): The tokenizer of the base model.
        root (Trie): From `build_trie`.
        """
        self._backend = tokenizer.backend_tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)
        self._root = root
        self._node: Optional[Trie] = None
        self._in_string = False
        self._escaped = False
        self._after_colon = False
        self._in_type = False

    @property
    def allowed(self) -> Optional[Set[int]]:
        """RETURNS (Optional[Set[int]]): Ids of the tokens that may come next, None for any."""
        return set(self._node) if self._node else None

    def add(self, token: int) -> None:
        """Take in the next token of the answer.

        token (int): Its id.
        """
        for char in self._stream.step(self._backend, token) or "":
            self._read(char)
        if self._in_type and self._node is None:
            # One token held both the colon and the opening quote: go on behind that quote.
            self._node = _merge(list(self._root.values()))
        elif self._after_colon and not self._node:
            self._node = self._root
        elif self._after_colon or self._in_type:
            self._node = (self._node or {}).get(token, {})
        else:
            self._node = None

    def _read(self, char: str) -> None:
        if self._in_string:
            self._read_in_string(char)
        elif char == '"':
            self._in_string, self._in_type = True, self._after_colon
            self._after_colon = False
        elif not char.isspace():
            self._after_colon = char == ":"

    def _read_in_string(self, char: str) -> None:
        if self._escaped:
            self._escaped = False
        elif char == "\\":
            self._escaped = True
        elif char == '"':
            self._in_string = self._in_type = False


def _merge(tries: List[Trie]) -> Trie:
    merged: Trie = {}
    for trie in tries:
        for token, node in trie.items():
            merged[token] = _merge([merged[token], node]) if token in merged else node
    return merged
