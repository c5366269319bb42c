"""Spoil texts as people and machines do, with their annotations carried along.

A model that has read clean texts alone loses entities to a typing error or to lost capitals. All
noise is made of edits, and an edit never crosses the border of an entity: what was annotated is
annotated still, as it is now written.
"""

import random
import unicodedata
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Sequence, Tuple

from .given_types import Entity
from .markup import Passage


class Edit(NamedTuple):
    """A part of a text that is written otherwise.

    start (int): Where it starts, in characters.
    end (int): Where it ends.
    text (str): What stands there then.
    """

    start: int
    end: int
    text: str


# Beside each other on a keyboard.
_ROWS = ("qwertzuiop", "asdfghjkl", "yxcvbnm", "qwertyuiop", "zxcvbnm")
# What scanners take for each other.
_LOOKALIKES = {
    "rn": "m", "m": "rn", "cl": "d", "d": "cl", "vv": "w", "w": "vv", "l": "1", "1": "l", "I": "l",
    "O": "0", "0": "O", "S": "5", "5": "S", "B": "8", "8": "B", "e": "c", "h": "b", "ü": "ii",
    "ß": "B", "fi": "ﬁ", "g": "q", "u": "n", "Z": "2", "ñ": "fi",
}  # fmt: skip


def add_noise(
    text: str, entities: Sequence[Entity], rng: random.Random
) -> Tuple[str, List[Entity]]:
    """Spoil a text in one or two ways.

    text (str): The text.
    entities (Sequence[Entity]): (start, end, type) in characters, sorted, without overlaps.
    rng (random.Random): Source of chance.
    RETURNS (Tuple[str, List[Entity]]): Both, spoiled. No entity is lost, or gets empty.
    """
    noisy, moved = text, list(entities)
    wanted, done = rng.choice((1, 1, 2)), 0
    # Some texts have no accents, and some edits fall where none is allowed.
    for kind in rng.sample(sorted(KINDS), len(KINDS)):
        before = noisy
        noisy, moved = apply_edits(noisy, moved, KINDS[kind](noisy, rng))
        done += noisy != before
        if done == wanted:
            break
    return noisy, moved


def noisy_twins(passages: Iterable[Passage], rng: random.Random) -> Iterator[Passage]:
    """Spoil passages.

    passages (Iterable[Passage]): Passages.
    rng (random.Random): Source of chance.
    YIELDS (Passage): A noisy twin of each, of the same id.
    """
    for passage in passages:
        text, entities = add_noise(passage.text, passage.entities, rng)
        yield passage._replace(text=text, entities=entities)


def apply_edits(
    text: str, entities: Sequence[Entity], edits: Iterable[Edit]
) -> Tuple[str, List[Entity]]:
    """Change a text, and move its entities along.

    text (str): The text.
    entities (Sequence[Entity]): (start, end, type) in characters, sorted, without overlaps.
    edits (Iterable[Edit]): Sorted, without overlaps. Those that cross the border of an entity,
        would leave white space or nothing at its edge, or take away what parts it from what stands
        beside it, are left out.
    RETURNS (Tuple[str, List[Entity]]): Both, changed.
    """
    kept = [edit for edit in edits if _is_allowed(edit, text, entities)]
    pieces, last = [], 0
    for start, end, new in kept:
        pieces += [text[last:start], new]
        last = end
    move = _Mover(kept)
    moved = [(move(start), move(end), type_) for start, end, type_ in entities]
    return "".join([*pieces, text[last:]]), moved


def _is_allowed(edit: Edit, text: str, entities: Sequence[Entity]) -> bool:
    for start, end, _ in entities:
        if edit.end <= start or edit.start >= end:
            if not edit.text and (edit.end == start or edit.start == end):
                return False
            continue
        if edit.start < start or edit.end > end:
            return False
        at_edge = edit.start == start or edit.end == end
        return not at_edge or bool(edit.text) and edit.text == edit.text.strip()
    return True


class _Mover:
    """Finds where a place of the old text is in the new one: none lies within an edit."""

    def __init__(self, edits: Sequence[Edit]) -> None:
        self._edits = edits

    def __call__(self, place: int) -> int:
        return place + sum(
            len(new) - (end - start) for start, end, new in self._edits if end <= place
        )


def _some(text: str, rng: random.Random, rate: float) -> Iterator[int]:
    """Places of some letters and digits, at least one if there are any."""
    places = [at for at, char in enumerate(text) if char.isalnum()]
    count = max(1, round(rate * len(places)))
    return iter(sorted(rng.sample(places, min(count, len(places)))))


def _typing(text: str, rng: random.Random) -> Iterator[Edit]:
    """Letters dropped, doubled, swapped, or taken for their neighbours on the keyboard."""
    last = 0
    for at in _some(text, rng, rng.uniform(0.01, 0.04)):
        if at < last:
            continue
        char, behind = text[at], text[at + 1 : at + 2]
        how = rng.choice(("drop", "double", "swap", "neighbour"))
        if how == "swap" and behind.isalnum():
            yield Edit(at, at + 2, behind + char)
            last = at + 2
            continue
        new = {"drop": "", "double": 2 * char}.get(how) if how != "swap" else 2 * char
        yield Edit(at, at + 1, _neighbour(char, rng) if new is None else new)
        last = at + 1


def _neighbour(char: str, rng: random.Random) -> str:
    near = [
        row[at]
        for row in _ROWS
        for place in [row.find(char.lower())]
        if place >= 0
        for at in (place - 1, place + 1)
        if 0 <= at < len(row)
    ]
    if not near:
        return char
    new = rng.choice(near)
    return new.upper() if char.isupper() else new


def _case(text: str, rng: random.Random) -> Iterator[Edit]:
    """All in small letters, or all in capitals."""
    change: Callable[[str], str] = str.upper if rng.random() < 0.2 else str.lower
    for at, char in enumerate(text):
        if change(char) != char:
            yield Edit(at, at + 1, change(char))


def _scanning(text: str, rng: random.Random) -> Iterator[Edit]:
    """Characters that a scanner took for others."""
    last, rate = 0, rng.uniform(0.02, 0.08)
    for at in range(len(text)):
        for length in (2, 1):
            old = text[at : at + length]
            known = len(old) == length and old in _LOOKALIKES
            if at >= last and known and rng.random() < rate:
                yield Edit(at, at + length, _LOOKALIKES[old])
                last = at + length


def _accents(text: str, rng: random.Random) -> Iterator[Edit]:
    """Letters without their accents."""
    for at, char in enumerate(text):
        bare = "".join(
            part for part in unicodedata.normalize("NFD", char) if not unicodedata.combining(part)
        )
        if bare and bare != char:
            yield Edit(at, at + 1, bare)


def _spacing(text: str, rng: random.Random) -> Iterator[Edit]:
    """Spaces doubled, lost, or that became ends of lines."""
    rate = rng.uniform(0.03, 0.12)
    for at, char in enumerate(text):
        if char == " " and rng.random() < rate:
            yield Edit(at, at + 1, rng.choice(("  ", "  ", "\n", "")))


KINDS: Dict[str, Callable[[str, random.Random], Iterator[Edit]]] = {
    "typing": _typing,
    "case": _case,
    "scanning": _scanning,
    "accents": _accents,
    "spacing": _spacing,
}
