"""Write and read the entity map, `{"surface": "type"}`.

Writing is strict. Reading is strict first; where a model's answer is cut or broken,
every complete pair is salvaged, and the result says so.
"""

import json
import re
from typing import Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple
from unicodedata import normalize

# One token of an answer: a string (cut by the end of the answer where it never
# closes), or any other character. Matches at every position and never backtracks
# over a string's end, so that scanning is linear in the answer's length.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?P<close>"|\\?\Z)|\S', re.DOTALL)

_SURROGATE = re.compile("[\ud800-\udfff]")

# So many pairs in a row that repeat earlier surfaces, or name what the text has not, are a loop:
# greedy decoding hardly ever leaves it.
_LOOP = 4


class Pair(NamedTuple):
    """An entity of an answer.

    surface (str): The span as it stands in the text.
    type (str): Its type.
    start (int): Character offset in the answer where the pair begins (its first quote).
    end (int): Character offset in the answer where the pair ends (after its last quote).
    """

    surface: str
    type: str
    start: int
    end: int


class EntityMap(NamedTuple):
    """What an answer says.

    pairs (List[Pair]): One for each surface, in the answer's order.
    salvaged (bool): Whether the answer was no strict map, so that pairs may be lost.
    conflicts (List[Tuple[str, str, str]]): (surface, kept type, dropped type) for each
        surface that the answer gave a second type.
    """

    pairs: List[Pair]
    salvaged: bool
    conflicts: List[Tuple[str, str, str]]


def pairs_from_spans(
    text: str, spans: Iterable[Tuple[int, int, str]]
) -> Tuple[List[Tuple[str, str]], List[Tuple[str, str, str]]]:
    """Collect spans into pairs, in the order of first occurrence, the longer first on a tie.

    text (str): The text.
    spans (Iterable[Tuple[int, int, str]]): (start, end, type) in characters.
    RETURNS (Tuple[List[Tuple[str, str]], List[Tuple[str, str, str]]]): (surface, type) pairs,
        and (surface, kept type, dropped type) for each surface of two types: the first wins.
    """
    ordered = sorted(spans, key=lambda span: (span[0], -span[1]))
    return _first_wins((text[start:end], type_) for start, end, type_ in ordered)


def _first_wins(
    pairs: Iterable[Tuple[str, str]],
) -> Tuple[List[Tuple[str, str]], List[Tuple[str, str, str]]]:
    kept: dict[str, str] = {}
    conflicts = []
    for surface, type_ in pairs:
        first = kept.setdefault(surface, type_)
        if first != type_:
            conflicts.append((surface, first, type_))
    return list(kept.items()), conflicts


def write_answer(pairs: Iterable[Tuple[str, str]]) -> str:
    """Write pairs as the strict JSON map that a model is trained to give.

    pairs (Iterable[Tuple[str, str]]): (surface, type), each surface once.
    RETURNS (str): One line of JSON, Unicode as it stands.
    """
    return json.dumps(dict(pairs), ensure_ascii=False, separators=(", ", ": "))


def read_answer(answer: str) -> EntityMap:
    """Read a model's answer, salvaging every complete pair of a broken one.

    answer (str): The answer. Any string is fit.
    RETURNS (EntityMap): The pairs. Of a surface with two types the first is kept.
    """
    found = list(_scan_pairs(answer))
    _, conflicts = _first_wins((pair.surface, pair.type) for pair in found)
    first = {pair.surface: pair for pair in reversed(found)}
    pairs = [pair for pair in found if first[pair.surface] is pair]
    return EntityMap(pairs, not _is_strict(answer), conflicts)


def end_of_news(answer: str, text: str) -> Optional[int]:
    """Find where an answer that is still being written fell into a loop.

    answer (str): The answer so far.
    text (str): The text that it is about.
    RETURNS (Optional[int]): The offset after its last pair with news, a new surface that the text
        has, if the four complete pairs or more behind it have none; otherwise None.
    """
    # Each pair has four quotes: most answers are too short for a loop.
    if answer.count('"') < 4 * _LOOP:
        return None
    seen = set()
    words = _plain(text)
    end = repeats = 0
    for pair in _scan_pairs(answer):
        if pair.surface in seen or _plain(pair.surface) not in words:
            repeats += 1
        else:
            seen.add(pair.surface)
            end, repeats = pair.end, 0
    return end if repeats >= _LOOP else None


def _plain(text: str) -> str:
    """Without what differs between a text and the surfaces that stand in it, see `align`."""
    return " ".join(normalize("NFC", text).split())


def _is_strict(answer: str) -> bool:
    """Whether the answer is one flat JSON object of non-empty strings."""
    try:
        items = json.loads(answer, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return False
    if not isinstance(items, list) or not answer.lstrip().startswith("{"):
        return False
    return all(_is_text(key) and _is_text(value) for key, value in items)


def _scan_pairs(answer: str) -> Iterator[Pair]:
    """Find each string, colon, string in a row."""
    recent: List[re.Match] = []
    for token in _TOKEN.finditer(answer):
        recent = [*recent[-2:], token]
        pair = _as_pair(recent)
        if pair is not None:
            yield pair
            recent = []


def _as_pair(tokens: Sequence[re.Match]) -> Optional[Pair]:
    if len(tokens) < 3 or tokens[1].group() != ":":
        return None
    surface, type_ = _as_string(tokens[0]), _as_string(tokens[2])
    if not (_is_text(surface) and _is_text(type_)):
        return None
    return Pair(surface, type_, tokens[0].start(), tokens[2].end())


def _is_text(value: object) -> bool:
    """Whether a value of an answer is a string with something in it, and no half of a surrogate
    pair, which JSON can write and UTF-8 cannot.
    """
    return isinstance(value, str) and value != "" and not _SURROGATE.search(value)


def _as_string(token: re.Match) -> Optional[str]:
    if token["close"] != '"':
        return None
    try:
        return json.loads(token.group(), strict=False)
    except ValueError:
        return None
