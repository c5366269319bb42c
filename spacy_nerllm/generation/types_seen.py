"""Guess the type of a name from the types that such names were given before.

Naive Bayes over a few features of the name and of where it stands, counted while answers are
written. Nothing depends on a guess but time.
"""

import math
import re
from collections import Counter
from typing import Dict, List, NamedTuple, Optional, Sequence

# Features that are counted at the most; the memory starts anew when there are more.
_MOST_FEATURES = 50_000

# Stands for what was never seen, in counts, and how many values a feature may have: a type that was
# hardly seen must not win by what is unknown of it.
_UNSEEN = 0.1
_VALUES = 100


class Mention(NamedTuple):
    """A name where it stands.

    surface (str): The name.
    before (str): The text before it, or as much as is at hand.
    after (str): The text behind it.
    last_type (str): The type of the pair before, or an empty string.
    """

    surface: str
    before: str
    after: str
    last_type: str


class TypeMemory:
    """Which types names were given, over all answers so far."""

    def __init__(self) -> None:
        self._counts: Dict[str, Counter] = {}
        self._types: Counter = Counter()
        # How often an answer ended behind the last name of its text, less how often it went on.
        self._ends = 0

    def add(self, mention: Mention, type_: str) -> None:
        """Remember a pair.

        mention (Mention): The name.
        type_ (str): The type it was given.
        """
        if len(self._counts) > _MOST_FEATURES:
            self._counts.clear()
            self._types.clear()
        self._types[type_] += 1
        for feature in _features(mention):
            self._counts.setdefault(feature, Counter())[type_] += 1

    def add_end(self, ended: bool) -> None:
        """Remember whether an answer ended behind the last name of its text.

        ended (bool): Whether it did, or went on with another word.
        """
        self._ends = max(-20, min(20, self._ends + (1 if ended else -1)))

    def goes_on(self) -> bool:
        """RETURNS (bool): Whether answers often go on behind the last name of their text."""
        return self._ends < 0

    def guess(self, mention: Mention, types: Optional[Sequence[str]], begun: str) -> str:
        """Guess the type of a name.

        mention (Mention): The name.
        types (Optional[Sequence[str]]): The types to choose from, or None for open types.
        begun (str): How the type begins.
        RETURNS (str): The likeliest type that fits, else what has begun.
        """
        # A list, since another thread may add to it.
        known = list(self._types) if types is None else types
        fitting = [type_ for type_ in known if type_.startswith(begun)]
        if len(fitting) < 2:
            return fitting[0] if fitting else begun
        counts = [self._counts[name] for name in _features(mention) if name in self._counts]
        return max(fitting, key=lambda type_: self._score(type_, counts))

    def _score(self, type_: str, counts: List[Counter]) -> float:
        total = self._types[type_]
        score = math.log(total + _UNSEEN)
        for counter in counts:
            score += math.log((counter[type_] + _UNSEEN) / (total + _VALUES * _UNSEEN))
        return score


def _features(mention: Mention) -> List[str]:
    words = mention.surface.lower().split() or [""]
    before = re.findall(r"\w+|[^\w\s]", mention.before[-30:].lower())
    after = re.findall(r"\w+|[^\w\s]", mention.after[:30].lower())
    return [
        f"surface {mention.surface.lower()}",
        f"first {words[0]}",
        f"last {words[-1]}",
        f"ending {words[-1][-3:]}",
        f"shape {shape(mention.surface)}",
        f"before {before[-1] if before else ''}",
        f"after {after[0] if after else ''}",
        f"follows {mention.last_type}",
    ]


def shape(surface: str) -> str:
    """RETURNS (str): The kinds of its characters, repetitions once: "Ada Lovelace" is "Aa Aa".

    surface (str): A name.
    """
    kinds = (
        "A" if char.isupper() else "a" if char.isalpha() else "0" if char.isdigit() else char
        for char in surface
    )
    return re.sub(r"(.)\1+", r"\1", "".join(kinds))[:12]
