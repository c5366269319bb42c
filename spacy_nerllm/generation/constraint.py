"""Let a model write nothing but a strict map of what stands in the text, by a grammar.

Surfaces are runs of the text's own words and marks, types are given ones or short plain names, and
what stands between them is fixed. `llguidance` tells which tokens may come next.
"""

import json
import re
from typing import Any, List, Optional, Sequence

import numpy
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer

# Words, white space and single marks: a surface starts and ends with one of them whole.
_CHUNK = re.compile(r"\w+|\s+|[^\w\s]")

# With open types: letters, digits and a few marks, none of which JSON would escape.
_OPEN_TYPE = r"/[\p{L}\p{N}][\p{L}\p{N} &'().\/-]{0,39}/"

_GRAMMAR = r"""
start: "{}" | "{" pair (", " pair)* "}"
pair: "\"" SURFACE "\": \"" TYPE "\""
SURFACE: PART & /[^ ](.|\n)*/ & /(.|\n)*[^ ]/
"""


def grammar_tokenizer(tokenizer: Any) -> LLTokenizer:
    """RETURNS (LLTokenizer): What `Constraint` needs of a tokenizer. Making it takes a moment.

    tokenizer (PreTrainedTokenizerBase): The tokenizer of the base model.
    """
    return from_tokenizer(tokenizer)


class Constraint:
    """Follows one answer token by token, and knows which tokens may come next. Takes the place of
    `type_choice.TypePosition`.
    """

    def __init__(self, tokenizer: LLTokenizer, text: str, types: Optional[Sequence[str]]) -> None:
        """tokenizer (LLTokenizer): See `grammar_tokenizer`.
        text (str): The text that the answer is about.
        types (Optional[Sequence[str]]): The types to choose from, or None for open types.
        """
        grammar = LLMatcher.grammar_from_lark(_grammar(text, types))
        self._end = tokenizer.eos_token
        self._matcher = LLMatcher(tokenizer, grammar)

    def allows(self, token: int) -> bool:
        """Whether a token may come next: found much faster than all that may. Where the answer is
        forced, any way to write it is right, and `allowed` gives one.

        token (int): Its id.
        RETURNS (bool): Whether it may.
        """
        if token == self._end:
            return self._matcher.is_accepting()
        return self._matcher.validate_tokens([token]) == 1

    @property
    def allowed(self) -> numpy.ndarray:
        """RETURNS (numpy.ndarray): Ids of the tokens that may come next, ascending. An array, since
        they can be thousands.
        """
        mask = numpy.frombuffer(self._matcher.compute_bitmask(), dtype=numpy.uint8)
        return numpy.flatnonzero(numpy.unpackbits(mask, bitorder="little"))

    def add(self, token: int, piece: str) -> None:
        """Take in the next token of the answer.

        token (int): Its id.
        piece (str): Unused.
        """
        self._matcher.consume_token(token)

    def mend(self, guess: List[int]) -> List[int]:
        """Make a guess one that can be: what is forced goes first, and what is forbidden is cut.

        guess (List[int]): Guessed tokens.
        RETURNS (List[int]): The tokens.
        """
        forced = self._matcher.compute_ff_tokens()
        if guess[: len(forced)] != forced[: len(guess)]:
            return forced
        return guess[: self._matcher.validate_tokens(guess)] if guess else forced


def _grammar(text: str, types: Optional[Sequence[str]]) -> str:
    chunks = [_written(" " if chunk.isspace() else chunk) for chunk in _CHUNK.findall(text)]
    part = f"PART: %regex {json.dumps({'substring_chunks': chunks})}"
    if types is None:
        return f"{_GRAMMAR}{part}\nTYPE: {_OPEN_TYPE}\n"
    names = " | ".join(json.dumps(_written(name)) for name in types)
    return f"{_GRAMMAR}{part}\nTYPE: {names}\n"


def _written(text: str) -> str:
    """As it stands in a map."""
    return json.dumps(text, ensure_ascii=False)[1:-1]
