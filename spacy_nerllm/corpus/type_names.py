"""What types are called: which hold which, and synonyms."""

from collections import defaultdict
from pathlib import Path
from typing import Dict, FrozenSet, Iterable, List, NamedTuple, Set

import srsly

from .markup import Passage


class TypeNames(NamedTuple):
    """What types are called.

    broader (Dict[str, List[str]]): Type to all broader types that hold it, the narrowest first.
    synonyms (Dict[str, List[str]]): Type to other names of it.
    descriptions (Dict[str, List[str]]): Type to short descriptions of it.
    kinds (Dict[str, FrozenSet[str]]): Type to the more specific ones that it may be, see
        `with_kinds`.
    """

    broader: Dict[str, List[str]]
    synonyms: Dict[str, List[str]]
    descriptions: Dict[str, List[str]] = {}
    kinds: Dict[str, FrozenSet[str]] = {}


def read_type_names(path: Path) -> TypeNames:
    """Read the table of type names.

    path (Path): JSON with "broader" (type to the narrower ones it holds), "synonyms" and
        "descriptions".
    RETURNS (TypeNames): The table, seen from the narrower types.
    """
    table = srsly.read_json(path)
    held = {wide: _all_held(wide, table["broader"]) for wide in table["broader"]}
    broader: Dict[str, List[str]] = {}
    # What holds less is narrower.
    for wide in sorted(held, key=lambda wide: (len(held[wide]), wide)):
        for name in held[wide]:
            broader.setdefault(name, []).append(wide)
    return TypeNames(broader, table["synonyms"], table.get("descriptions", {}))


def _all_held(wide: str, table: Dict[str, List[str]]) -> List[str]:
    """The types that a type holds, with those that they hold in turn."""
    held: List[str] = []
    open_ = [wide]
    while open_:
        for name in table.get(open_.pop(), ()):
            if name not in held and name != wide:
                held.append(name)
                open_.append(name)
    return held


def with_kinds(
    names: TypeNames, passages: Iterable[Passage], finer: Dict[str, Dict[str, str]]
) -> TypeNames:
    """Learn from passages what more specific types there are of a type.

    Where it is not known of which kind a person is, no kind of person can be asked for in vain.

    names (TypeNames): The table.
    passages (Iterable[Passage]): Passages.
    finer (Dict[str, Dict[str, str]]): Passage id to surface to a more specific type.
    RETURNS (TypeNames): The table with its kinds.
    """
    kinds: Dict[str, Set[str]] = defaultdict(set)
    for passage in passages:
        special = finer.get(passage.id, {})
        for start, end, type_ in passage.entities:
            kind = special.get(passage.text[start:end])
            if kind is not None:
                between = set(names.broader.get(kind, ())) - set(names.broader.get(type_, ()))
                kinds[type_] |= {kind, *between} - {type_}
    return names._replace(kinds={type_: frozenset(found) for type_, found in kinds.items()})
