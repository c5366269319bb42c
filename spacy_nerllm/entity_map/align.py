"""Place the surfaces of an entity map in a text: every occurrence, at token boundaries."""

import re
from typing import Iterator, List, NamedTuple, Sequence, Tuple


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

    A surface is matched exactly, with no folding of case or Unicode form. Only one that stands
    nowhere so is looked for with any white space between its words, as in wrapped lines.

    text (str): The text.
    pairs (Sequence[Tuple[str, str]]): (surface, type), each surface once.
    tokens (Sequence[Tuple[int, int]]): (start, end) of each token, in characters.
    RETURNS (Alignment): The occurrences, and the surfaces without any.
    """
    starts = {start for start, _ in tokens}
    ends = {end for _, end in tokens}
    spans: List[PlacedSpan] = []
    unplaced = []
    for index, (surface, type_) in enumerate(pairs):
        found = [
            PlacedSpan(start, end, type_, index)
            for start, end in _occurrences(text, surface)
            if start in starts and end in ends
        ]
        if not found:
            unplaced.append(surface)
        spans.extend(found)
    spans.sort(key=lambda span: (span.start, -span.end))
    return Alignment(spans, unplaced)


def _occurrences(text: str, surface: str) -> Iterator[Tuple[int, int]]:
    """Exact occurrences, overlapping ones too; across other white space if there are none."""
    words = surface.split()
    if not words:
        return
    pattern = re.escape(surface)
    if surface not in text:
        pattern = r"\s+".join(map(re.escape, words))
    # A group inside a look-ahead: matches may overlap.
    for match in re.finditer(f"(?=({pattern}))", text):
        yield match.span(1)
