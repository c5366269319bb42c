"""Ask for given types: which types a prompt names, and what each entity is then called.

A model that is to choose among types that it never saw must learn that the same name can be a
`city`, a `location` or a `place`, by what is asked for: the most specific type asked for wins.
Types that the text does not have are asked for too, as in GNER (Ding et al., 2024,
https://arxiv.org/abs/2402.16602), where such negatives are worth several points of F1.
"""

import random
from typing import Dict, List, Sequence, Tuple

from ..entity_map import Types
from .type_names import TypeNames

Entity = Tuple[int, int, str]

_MOST_TYPES = 25
# Chances of how a type of the text is asked for: by its most specific name, a broader one, both, or
# not at all; and that a broader one is the next, not any.
_ASK = {"own": 0.42, "broader": 0.22, "both": 0.26, "none": 0.1}
_NEXT_CHANCE = 0.6
_SYNONYM_CHANCE = 0.25
_DESCRIPTION_CHANCE = 0.1


def ask_among(
    entities: Sequence[Entity],
    inventory: Sequence[str],
    names: TypeNames,
    finer: Dict[Tuple[int, int], str],
    rng: random.Random,
) -> Tuple[List[str], List[Entity]]:
    """Choose types to ask for of a text in which every entity is annotated.

    entities (Sequence[Entity]): (start, end, type) of all entities.
    inventory (Sequence[str]): Types to draw those from that the text does not have.
    names (TypeNames): Broader types and synonyms.
    finer (Dict[Tuple[int, int], str]): A more specific type for the entity at (start, end).
    rng (random.Random): Source of chance.
    RETURNS (Tuple[List[str], List[Entity]]): The types in the order of the prompt, and the
        entities that are of them, so called.
    """
    chains = [_chain(entity, names, finer) for entity in entities]
    asked: List[str] = []
    for chain in sorted(set(chains)):
        asked.extend(_ask_for(chain, rng))
    related = {name for chain in chains for name in chain}
    for start, end, type_ in entities:
        if (start, end) not in finer:
            related |= names.kinds.get(type_, frozenset())
    others = [name for name in inventory if name not in related]
    asked = sorted(set(asked))[:_MOST_TYPES]
    most = min(len(others), _MOST_TYPES - len(asked), 12)
    asked += rng.sample(others, rng.randint(min(1, most), most))
    rng.shuffle(asked)
    called = []
    for (start, end, _), chain in zip(entities, chains, strict=True):
        fitting = [name for name in chain if name in asked]
        if fitting:
            called.append((start, end, fitting[0]))
    return rename(asked, called, names, rng)


def _chain(entity: Entity, names: TypeNames, finer: Dict[Tuple[int, int], str]) -> Tuple[str, ...]:
    """All types of an entity, from the most specific to the broadest."""
    start, end, type_ = entity
    wide = _broader(type_, names)
    own = [type_]
    if (start, end) in finer:
        special = finer[start, end]
        # What holds the finer type and not the type itself is between them.
        between = [name for name in _broader(special, names) if name not in (type_, *wide)]
        own = [special, *between, type_]
    return tuple(dict.fromkeys((*own, *wide)))


def _broader(type_: str, names: TypeNames) -> List[str]:
    """Broader types, the narrowest first: the one with the most types above it."""
    return sorted(names.broader.get(type_, ()), key=lambda name: -len(names.broader.get(name, ())))


def _ask_for(chain: Sequence[str], rng: random.Random) -> List[str]:
    (how,) = rng.choices(list(_ASK), list(_ASK.values()))
    if how == "none":
        return []
    if how == "own" or len(chain) == 1:
        return [chain[0]]
    wide = chain[1] if rng.random() < _NEXT_CHANCE else rng.choice(chain[1:])
    return [wide] if how == "broader" else [chain[0], wide]


def rename(
    asked: Sequence[str], entities: Sequence[Entity], names: TypeNames, rng: random.Random
) -> Tuple[List[str], List[Entity]]:
    """Call some types by a synonym, in the prompt and in the answer alike.

    asked (Sequence[str]): The types to ask for.
    entities (Sequence[Entity]): (start, end, type), the types among those asked for.
    names (TypeNames): Broader types and synonyms.
    rng (random.Random): Source of chance.
    RETURNS (Tuple[List[str], List[Entity]]): Both, renamed. No two types get the same name.
    """
    called: Dict[str, str] = {}
    for name in asked:
        taken = {*asked, *called.values()}
        free = [other for other in names.synonyms.get(name, ()) if other not in taken]
        called[name] = rng.choice(free) if free and rng.random() < _SYNONYM_CHANCE else name
    return list(called.values()), [(start, end, called[type_]) for start, end, type_ in entities]


def describe(asked: Sequence[str], names: TypeNames, rng: random.Random) -> Types:
    """Describe the types asked for, sometimes.

    asked (Sequence[str]): The types, or synonyms of them.
    names (TypeNames): Has descriptions.
    rng (random.Random): Source of chance.
    RETURNS (Types): The types, mostly without descriptions.
    """
    if not names.descriptions or rng.random() >= _DESCRIPTION_CHANCE:
        return list(asked)
    own = {other: name for name, others in names.synonyms.items() for other in others}
    known = {name: names.descriptions.get(own.get(name, name), ()) for name in asked}
    return {name: rng.choice(texts) if texts else "" for name, texts in known.items()}
