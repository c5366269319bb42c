"""What the open-type corpus as a whole must hold."""

from collections import Counter
from typing import Dict, Iterator, List

from .checks import Statistics
from .markup import Passage

LEAST_WORDS, MOST_WORDS = 25, 300

_PASSAGES = {"en": 2000, "de": 500, "es": 500}
_ENGLISH_DOMAINS, _IN_A_DOMAIN = 24, 60
_PARTS = {"train": 2550, "dev": 150, "test": 300}
_TEST = {"en": 180, "de": 60, "es": 60}


def missed_bounds(statistics: Statistics, parts: Dict[str, List[Passage]]) -> Iterator[str]:
    """Find what the corpus does not hold.

    statistics (Statistics): Of all passages.
    parts (Dict[str, List[Passage]]): "train", "dev" and "test".
    YIELDS (str): A bound that is missed, with what was found.
    """
    yield from _missed_shares(statistics)
    passages = [passage for part in parts.values() for passage in part]
    languages = Counter(passage.lang for passage in passages)
    for lang, least in _PASSAGES.items():
        if languages[lang] < least:
            yield f"at least {least} passages in {lang}, but there are {languages[lang]}"
    domains = Counter(passage.domain for passage in passages if passage.lang == "en")
    full = sum(count >= _IN_A_DOMAIN for count in domains.values())
    if full < _ENGLISH_DOMAINS:
        yield f"{_ENGLISH_DOMAINS} English domains of {_IN_A_DOMAIN} passages, but there are {full}"
    for part, count in _PARTS.items():
        if len(parts[part]) != count:
            yield f"{count} passages in {part}, but there are {len(parts[part])}"
    test = Counter(passage.lang for passage in parts["test"])
    if test != _TEST:
        yield f"{_TEST} passages in test, but there are {dict(test)}"


def _missed_shares(statistics: Statistics) -> Iterator[str]:
    bounds = {
        "at least 12,000 surfaces": (statistics.surfaces, 12_000, float("inf")),
        "at least 150 types of five passages": (statistics.common_types, 150, float("inf")),
        "at least 85 % of mentions of the inventory": (statistics.inventory, 0.85, 1),
        "at most 3 % of mentions of rare types": (statistics.tail, 0, 0.03),
        "7 to 10 % of passages without an entity": (statistics.empty, 0.07, 0.1),
        "8 to 12 % of passages over 130 words": (statistics.long, 0.08, 0.12),
        "hard cases in at least a third": (statistics.hard, 1 / 3, 1),
    }
    for name, (found, least, most) in bounds.items():
        if not least <= found <= most:
            yield f"{name}, but it is {found:.4g}"
