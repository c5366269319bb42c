"""Place the surfaces of an entity map in a text: every occurrence, at token boundaries."""

import re
from functools import cached_property
from itertools import pairwise
from typing import Dict, List, NamedTuple, Sequence, Tuple
from unicodedata import combining, normalize


class PlacedSpan(NamedTuple):
    """One occurrence of a surface.

    start (int): Offset of its first character in the text.
    end (int): Offset after its last character.
    type (str): The type of the pair.
    pair (int): Index of the pair that it comes from.
    """

    start: int
    end: int
    type: str
    pair: int


class Alignment(NamedTuple):
    """Where pairs stand in a text.

    spans (List[PlacedSpan]): By start, the longer first on a tie. They may overlap.
    unplaced (List[str]): Surfaces with no occurrence between token boundaries.
    """

    spans: List[PlacedSpan]
    unplaced: List[str]


def align_pairs(
    text: str, pairs: Sequence[Tuple[str, str]], tokens: Sequence[Tuple[int, int]]
) -> Alignment:
    """Find all occurrences of all surfaces that start and end with a token.

    A surface is matched exactly, with no folding of case. Only one that cannot be placed so is
    looked for with any white space between its words, as in wrapped lines, and then in its other
    canonical form, since some tokenizers (Qwen's) compose accents before the model sees the text.

    text (str): The text.
    pairs (Sequence[Tuple[str, str]]): (surface, type), each surface once.
    tokens (Sequence[Tuple[int, int]]): (start, end) of each token, in characters.
    RETURNS (Alignment): The occurrences, and the surfaces without any.
    """
    finder = _Finder(text, tokens)
    spans: List[PlacedSpan] = []
    unplaced = []
    for index, (surface, type_) in enumerate(pairs):
        found = finder.find(surface)
        if not found:
            unplaced.append(surface)
        spans.extend(PlacedSpan(start, end, type_, index) for start, end in found)
    spans.sort(key=lambda span: (span.start, -span.end))
    return Alignment(spans, unplaced)


class _Finder:
    """Finds surfaces in one text, between the boundaries of its tokens."""

    def __init__(self, text: str, tokens: Sequence[Tuple[int, int]]) -> None:
        self._text = text
        self._starts = {start for start, _ in tokens}
        self._ends = {end for _, end in tokens}

    def find(self, surface: str) -> List[Tuple[int, int]]:
        for occurrences in (self._exact, self._respaced, self._decomposed):
            found = [
                (start, end)
                for start, end in occurrences(surface)
                if start in self._starts and end in self._ends
            ]
            if found:
                return found
        return []

    def _exact(self, surface: str) -> List[Tuple[int, int]]:
        return _matches(re.escape(surface), self._text) if surface.strip() else []

    def _respaced(self, surface: str) -> List[Tuple[int, int]]:
        return _matches(_any_space(surface), self._text)

    def _decomposed(self, surface: str) -> List[Tuple[int, int]]:
        text, offsets = self._nfd
        return [
            (offsets[start], offsets[end])
            for start, end in _matches(_any_space(normalize("NFD", surface)), text)
            if start in offsets and end in offsets
        ]

    @cached_property
    def _nfd(self) -> Tuple[str, Dict[int, int]]:
        """The text in canonical decomposition, and its offsets that are offsets of the text too:
        those between a character with all its marks and the next, since marks may change places
        (Unicode Standard Annex 15).
        """
        text = self._text
        decomposed, offsets = "", {0: 0}
        bounds = [at for at, char in enumerate(text) if not combining(normalize("NFD", char)[0])]
        for start, end in pairwise(sorted({0, *bounds, len(text)})):
            decomposed += normalize("NFD", text[start:end])
            offsets[len(decomposed)] = end
        return decomposed, offsets


def _any_space(surface: str) -> str:
    return r"\s+".join(map(re.escape, surface.split()))


def _matches(pattern: str, text: str) -> List[Tuple[int, int]]:
    if not pattern:
        return []
    # A group inside a look-ahead: matches may overlap.
    return [match.span(1) for match in re.finditer(f"(?=({pattern}))", text)]
