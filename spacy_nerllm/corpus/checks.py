"""Hold annotated passages to the rules of the guide, and tell how varied they are."""

import re
from collections import Counter, defaultdict
from itertools import islice
from typing import Dict, FrozenSet, Iterable, Iterator, List, NamedTuple, Sequence, Set, Tuple

import spacy
from spacy.language import Language

from .docs import place_pairs
from .markup import Passage

# Types that say nothing.
_EMPTY_TYPES = {"entity", "misc", "other", "name", "thing"}
_TYPE = re.compile(r"[a-z0-9][a-z0-9'-]*( [a-z0-9][a-z0-9'-]*){0,2}")

_OUTSIDE = '"“”„«»`‘,;:'
_BRACKETS = {"(": ")", "[": "]"}
# With its full stop. What is longer ends a sentence.
_LONGEST_ABBREVIATION = 8
# In so many passages at least a type must be used, or its mentions count to the tail.
_COMMON_TYPE = 5


class Problem(NamedTuple):
    """What is wrong with a passage.

    id (str): The passage.
    text (str): What is wrong, with the words at fault.
    """

    id: str
    text: str


class PassageChecker:
    """Checks passages one by one against the guide."""

    def __init__(self, least_words: int, most_words: int) -> None:
        """least_words (int): The fewest words of a passage.
        most_words (int): The most words of a passage.
        """
        self._words = range(least_words, most_words + 1)
        self._pipelines: Dict[str, Language] = {}

    def check(self, passage: Passage) -> Iterator[Problem]:
        """Check one passage.

        passage (Passage): The passage.
        YIELDS (Problem): What is wrong with it.
        """
        problems = [
            *self._length(passage),
            *_surfaces(passage),
            *_types(passage),
            *self._unmarked(passage),
        ]
        for text in problems:
            yield Problem(passage.id, text)

    def _length(self, passage: Passage) -> Iterator[str]:
        words = len(passage.text.split())
        if words not in self._words:
            yield f"{words} words: not within {self._words.start} to {self._words.stop - 1}"

    def _unmarked(self, passage: Passage) -> Iterator[str]:
        """Occurrences of marked surfaces, by spaCy's tokens, that are neither marked nor inside of
        a marked one.
        """
        if passage.lang not in self._pipelines:
            self._pipelines[passage.lang] = spacy.blank(passage.lang)
        nlp = self._pipelines[passage.lang]
        pairs = {passage.text[start:end]: type_ for start, end, type_ in passage.entities}
        for span in place_pairs(nlp.make_doc(passage.text), list(pairs.items())):
            within = any(
                start <= span.start_char and span.end_char <= end
                for start, end, _ in passage.entities
            )
            if span.text in pairs and not within:
                yield f"{span.text!r} at {span.start_char} is not marked, but is elsewhere"


def _surfaces(passage: Passage) -> Iterator[str]:
    for start, end, type_ in passage.entities:
        surface = passage.text[start:end]
        last = surface.split()[-1]
        if surface[0] in _OUTSIDE or surface[-1] in _OUTSIDE:
            yield f"the surface {surface!r} begins or ends with a quote or a comma"
        if _BRACKETS.get(surface[0]) == surface[-1] and surface.count(surface[0]) == 1:
            yield f"the surface {surface!r} stands in brackets of its own"
        if last[-1] == "." and "." not in last[:-1] and len(last) > _LONGEST_ABBREVIATION:
            yield f"the surface {surface!r} ends with a full stop"
        if type_ == "person" and surface.endswith(("'s", "’s")):
            yield f"the surface {surface!r} ends with a possessive"


def _types(passage: Passage) -> Iterator[str]:
    types: Dict[str, str] = {}
    for start, end, type_ in passage.entities:
        surface = passage.text[start:end]
        if not _TYPE.fullmatch(type_) or type_ in _EMPTY_TYPES:
            yield f"the type {type_!r} of {surface!r} is no telling lower-case name of 1 to 3 words"
        if types.setdefault(surface, type_) != type_:
            yield f"{surface!r} has two types, {types[surface]!r} and {type_!r}"


def shared_phrases(
    passages: Sequence[Passage], others: Iterable[str] = (), *, words: int = 8
) -> Iterator[Problem]:
    """Find phrases that a passage shares with another one, or with other texts.

    passages (Sequence[Passage]): The passages.
    others (Iterable[str]): Texts of which they should hold nothing.
    words (int): How long a phrase is.
    YIELDS (Problem): One for each phrase and passage, but for the first passage that has it.
    """
    foreign = {phrase for text in others for phrase in _phrases(text, words)}
    first: Dict[Tuple[str, ...], str] = {}
    for passage in passages:
        for phrase in dict.fromkeys(_phrases(passage.text, words)):
            if phrase in foreign:
                yield Problem(passage.id, f"{' '.join(phrase)!r} stands in an evaluation corpus")
            elif first.setdefault(phrase, passage.id) != passage.id:
                yield Problem(passage.id, f"{' '.join(phrase)!r} stands in {first[phrase]} too")


def _phrases(text: str, words: int) -> Iterator[Tuple[str, ...]]:
    found = re.findall(r"\w+", text.lower())
    return zip(*(islice(found, start, None) for start in range(words)), strict=False)


def repeated_openings(
    passages: Iterable[Passage], *, words: int = 4, most: int = 5
) -> Iterator[Problem]:
    """Find openings that too many passages of a language share.

    passages (Iterable[Passage]): The passages.
    words (int): How long an opening is.
    most (int): How many passages may share one.
    YIELDS (Problem): One for each passage beyond these.
    """
    counts: Counter = Counter()
    for passage in passages:
        opening = tuple(passage.text.lower().split()[:words])
        counts[passage.lang, opening] += 1
        if counts[passage.lang, opening] > most:
            yield Problem(passage.id, f"the {counts[passage.lang, opening]}th to open so")


class Statistics(NamedTuple):
    """What a set of passages holds. Shares are from 0 to 1.

    passages (int): Passages.
    words (int): Words between white space.
    mentions (int): Marked entities.
    surfaces (int): Distinct surfaces.
    types (int): Distinct types.
    common_types (int): Types of five passages or more.
    inventory (float): Share of mentions with a type of the inventory.
    tail (float): Share of mentions with a type of fewer than five passages.
    empty (float): Share of passages without an entity.
    long (float): Share of passages with more than 130 words.
    hard (float): Share of passages with a hard case, see `hard_cases`.
    """

    passages: int
    words: int
    mentions: int
    surfaces: int
    types: int
    common_types: int
    inventory: float
    tail: float
    empty: float
    long: float
    hard: float


def collect_statistics(passages: Sequence[Passage], inventory: FrozenSet[str]) -> Statistics:
    """Count what passages hold.

    passages (Sequence[Passage]): The passages.
    inventory (FrozenSet[str]): The types that the guide prefers.
    RETURNS (Statistics): The counts.
    """
    mentions = [
        (passage.id, passage.text[start:end], type_)
        for passage in passages
        for start, end, type_ in passage.entities
    ]
    places = defaultdict(set)
    for id_, _, type_ in mentions:
        places[type_].add(id_)
    common = {type_ for type_, ids in places.items() if len(ids) >= _COMMON_TYPE}
    lengths = [len(passage.text.split()) for passage in passages]
    return Statistics(
        passages=len(passages),
        words=sum(lengths),
        mentions=len(mentions),
        surfaces=len({surface for _, surface, _ in mentions}),
        types=len(places),
        common_types=len(common),
        inventory=_share(type_ in inventory for *_, type_ in mentions),
        tail=_share(type_ not in common for *_, type_ in mentions),
        empty=_share(not passage.entities for passage in passages),
        long=_share(length > 130 for length in lengths),
        hard=_share(bool(hard_cases(passage)) for passage in passages),
    )


def _share(values: Iterable[bool]) -> float:
    counted = list(values)
    return sum(counted) / len(counted) if counted else 0.0


def hard_cases(passage: Passage) -> Set[str]:
    """Tell what makes a passage hard, as far as a program can see.

    passage (Passage): The passage.
    RETURNS (Set[str]): Of "repeated" (an entity stands twice), "within" (a surface is also part of
        another name or word), "edge" (an entity is the very first and another the very last of the
        text), "bracketed" (in quotes or brackets), "case" (capitals or small letters alone) and
        "joined" (a number stands joined to its unit).
    """
    text = passage.text
    surfaces = Counter(text[start:end] for start, end, _ in passage.entities)
    edges = {start for start, _, _ in passage.entities} | {end for _, end, _ in passage.entities}
    pairs = ("()", "[]", "“”", "„“", "«»", '""', "''")
    found = {
        "repeated": any(count > 1 for count in surfaces.values()),
        "within": any(text.count(surface) > count for surface, count in surfaces.items()),
        "edge": {0, len(text)} <= edges,
        "bracketed": any(
            text[start - 1 : start] + text[end : end + 1] in pairs
            for start, end, _ in passage.entities
        ),
        "case": text.isupper() or text.islower(),
        "joined": any(re.fullmatch(r"[\d.,]+[A-Za-z°µ%€$]+", surface) for surface in surfaces),
    }
    return {kind for kind, holds in found.items() if holds}


def type_counts(passages: Iterable[Passage]) -> List[Tuple[str, int, int]]:
    """Count types.

    passages (Iterable[Passage]): The passages.
    RETURNS (List[Tuple[str, int, int]]): (type, mentions, passages), the most frequent first.
    """
    mentions: Counter = Counter()
    spread: Counter = Counter()
    for passage in passages:
        of_passage = Counter(type_ for *_, type_ in passage.entities)
        mentions.update(of_passage)
        spread.update(of_passage.keys())
    return [(type_, count, spread[type_]) for type_, count in mentions.most_common()]
