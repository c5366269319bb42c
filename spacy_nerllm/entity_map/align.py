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

    A surface is matched exactly, with no folding of case. Only one that stands nowhere so is
    looked for with any white space between its words, as in wrapped lines, and then in its other
    canonical form, since some tokenizers (Qwen's) compose accents before the model sees the text.

    text (str): The text.
    pairs (Sequence[Tuple[str, str]]): (surface, type), each surface once.
    tokens (Sequence[Tuple[int, int]]): (start, end) of each token, in characters.
    RETURNS (Alignment): The occurrences, and the surfaces without any.
    """
    starts = {start for start, _ in tokens}
    ends = {end for _, end in tokens}
    decomposed = _Decomposed(text)
    spans: List[PlacedSpan] = []
    unplaced = []
    for index, (surface, type_) in enumerate(pairs):
        found = [
            PlacedSpan(start, end, type_, index)
            for start, end in _occurrences(text, surface) or decomposed.occurrences(surface)
            if start in starts and end in ends
        ]
        if not found:
            unplaced.append(surface)
        spans.extend(found)
    spans.sort(key=lambda span: (span.start, -span.end))
    return Alignment(spans, unplaced)


def _occurrences(text: str, surface: str) -> List[Tuple[int, int]]:
    """Exact occurrences, overlapping ones too; across other white space if there are none."""
    words = surface.split()
    if not words:
        return []
    pattern = re.escape(surface)
    if surface not in text:
        pattern = r"\s+".join(map(re.escape, words))
    # A group inside a look-ahead: matches may overlap.
    return [match.span(1) for match in re.finditer(f"(?=({pattern}))", text)]


class _Decomposed:
    """A text in canonical decomposition (NFD), made when it is first needed."""

    def __init__(self, text: str) -> None:
        self._text = text

    def occurrences(self, surface: str) -> List[Tuple[int, int]]:
        """Where a surface stands in whatever form, as offsets in the text as it is."""
        decomposed, offsets = self._with_offsets
        return [
            (offsets[start], offsets[end])
            for start, end in _occurrences(decomposed, normalize("NFD", surface))
            if start in offsets and end in offsets
        ]

    @cached_property
    def _with_offsets(self) -> Tuple[str, Dict[int, int]]:
        """The decomposed text, and the offsets in it that are offsets in the text too: those
        between a character with all its marks and the next, since marks may change places (Unicode
        Standard Annex 15).
        """
        text = self._text
        decomposed, offsets = "", {0: 0}
        bounds = [at for at, char in enumerate(text) if not combining(normalize("NFD", char)[0])]
        for start, end in pairwise(sorted({0, *bounds, len(text)})):
            decomposed += normalize("NFD", text[start:end])
            offsets[len(decomposed)] = end
        return decomposed, offsets
