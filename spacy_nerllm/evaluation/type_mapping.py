"""Take open types for those of an inventory, by one rule that is the same for every model."""

from typing import Collection, Dict, Iterable, Optional

from ..corpus.type_names import TypeNames


def map_types(types: Iterable[str], inventory: Collection[str], names: TypeNames) -> Dict[str, str]:
    """Find the type of an inventory that each open type is an instance of.

    The first that fits: the type itself; what it is a synonym of, or what is a synonym of it; the
    narrowest broader type; the same for its last word ("football club" is a "club").

    types (Iterable[str]): Open types.
    inventory (Collection[str]): Types to take them for.
    names (TypeNames): Broader types and synonyms.
    RETURNS (Dict[str, str]): Type to type of the inventory, without those that fit none.
    """
    canonical = {other: name for name, others in names.synonyms.items() for other in others}
    found: Dict[str, str] = {}
    for type_ in types:
        target = _target(type_, inventory, names, canonical)
        if target is None:
            target = _target(
                type_.split()[-1] if type_.split() else "", inventory, names, canonical
            )
        if target is not None:
            found[type_] = target
    return found


def _target(
    type_: str, inventory: Collection[str], names: TypeNames, canonical: Dict[str, str]
) -> Optional[str]:
    own = [type_, canonical.get(type_, type_)]
    candidates = [
        *own,
        *(synonym for name in own for synonym in names.synonyms.get(name, ())),
        *(wide for name in own for wide in names.broader.get(name, ())),
    ]
    return next((name for name in candidates if name in inventory), None)
