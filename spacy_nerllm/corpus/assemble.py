"""Mix annotated passages and corpora into the records that an adapter is trained on."""

import random
from collections import Counter
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

import srsly

from ..entity_map import Types, pairs_from_spans
from .given_types import Entity, ask_among, describe, rename
from .markup import Passage, read_folder
from .records import Record
from .splits import has_splits, read_splits
from .type_names import TypeNames

# Of the texts of a corpus, at most this part has no entity: they are short to learn.
_MOST_EMPTY = 0.25


def make_record(
    text: str, entities: Iterable[Entity], types: Optional[Types], lang: str, source: str
) -> Record:
    """Make a record of a text and its entities.

    text (str): The text.
    entities (Iterable[Entity]): (start, end, type) in characters.
    types (Optional[Types]): The types that the prompt names, or None for open types.
    lang (str): ISO 639-1 code.
    source (str): Where the text comes from.
    RETURNS (Record): The record. Of a surface with two types the first counts.
    """
    pairs, _ = pairs_from_spans(text, entities)
    return Record(
        input=text,
        output=dict(pairs),
        types=dict(types) if isinstance(types, Mapping) else types and list(types),
        lang=lang,
        source=source,
    )


def open_records(passages: Iterable[Passage]) -> Iterator[Record]:
    """Ask for all entities of each passage, with no types given.

    passages (Iterable[Passage]): Passages in which every entity is annotated.
    YIELDS (Record): One for each passage.
    """
    for passage in passages:
        source = f"open_types/{passage.domain}"
        yield make_record(passage.text, passage.entities, None, passage.lang, source)


def given_records(
    passages: Sequence[Passage],
    names: TypeNames,
    finer: Dict[str, Dict[str, str]],
    variants: int,
    rng: random.Random,
) -> Iterator[Record]:
    """Ask for some types of each passage, several times in different ways.

    passages (Sequence[Passage]): Passages in which every entity is annotated.
    names (TypeNames): Broader types and synonyms.
    finer (Dict[str, Dict[str, str]]): Passage id to surface to a more specific type.
    variants (int): How many records each passage gives.
    rng (random.Random): Source of chance.
    YIELDS (Record): The records.
    """
    inventory = _frequent_types(passages, names, finer)
    for passage in passages:
        special = finer.get(passage.id, {})
        spans = {
            (start, end): special[passage.text[start:end]]
            for start, end, _ in passage.entities
            if passage.text[start:end] in special
        }
        for _ in range(variants):
            types, entities = ask_among(passage.entities, inventory, names, spans, rng)
            source = f"open_types/{passage.domain}"
            described = describe(types, names, rng)
            yield make_record(passage.text, entities, described, passage.lang, source)


def _frequent_types(
    passages: Iterable[Passage], names: TypeNames, finer: Dict[str, Dict[str, str]]
) -> List[str]:
    """Types of at least three passages, finer ones of at least ten, and the broader ones."""
    counts: Counter = Counter()
    finer_counts: Counter = Counter()
    for passage in passages:
        counts.update({type_ for *_, type_ in passage.entities})
        finer_counts.update(set(finer.get(passage.id, {}).values()))
    frequent = {type_ for type_, count in counts.items() if count >= 3}
    frequent |= {type_ for type_, count in finer_counts.items() if count >= 10}
    broader = {name for wide in names.broader.values() for name in wide}
    return sorted(frequent | broader)


def corpus_records(
    path: Path,
    most: int,
    held_out: float,
    names: TypeNames,
    rng: random.Random,
    *,
    openly: bool = False,
) -> Tuple[List[Record], List[Record]]:
    """Sample a corpus that annotates its own types only, which every prompt then names.

    path (Path): JSONL of {"text", "entities": [[start, end, type], ...], "lang"}.
    most (int): The most records to take.
    held_out (float): The part of the corpus to set aside first, between 0 and 1.
    names (TypeNames): Broader types and synonyms.
    rng (random.Random): Source of chance. What is set aside depends on it and `held_out` alone.
    openly (bool): Name no types in the prompts. Teaches to skip what the corpus leaves unmarked:
        good for nothing but to be compared with.
    RETURNS (Tuple[List[Record], List[Record]]): Records to train on, and those set aside (at most
        as many); each in a random order.
    """
    lines = list(srsly.read_jsonl(path))
    types = sorted({type_ for line in lines for *_, type_ in line["entities"]})
    rng.shuffle(lines)
    aside = round(held_out * len(lines))
    parts = []
    for part in (lines[aside:], lines[:aside]):
        kept = _with_few_empty(part, most)
        rng.shuffle(kept)
        parts.append([_corpus_record(line, types, path.stem, names, rng, openly) for line in kept])
    return parts[0], parts[1]


def _with_few_empty(lines: Sequence[Dict], most: int) -> List[Dict]:
    full = [line for line in lines if line["entities"]]
    empty = [line for line in lines if not line["entities"]]
    # As many empty ones as their part allows, of what can be taken at all.
    total = min(most, int(len(full) / (1 - _MOST_EMPTY)))
    empty = empty[: int(total * _MOST_EMPTY)]
    return full[: most - len(empty)] + empty


def _corpus_record(
    line: Dict,
    types: Sequence[str],
    source: str,
    names: TypeNames,
    rng: random.Random,
    openly: bool,
) -> Record:
    entities = [tuple(entity) for entity in line["entities"]]
    if openly:
        return make_record(line["text"], entities, None, line["lang"], source)
    asked = list(types)
    if rng.random() < 0.2:
        asked = rng.sample(asked, rng.randint(1, len(asked)))
    rng.shuffle(asked)
    found = [entity for entity in entities if entity[2] in asked]
    asked, found = rename(asked, found, names, rng)
    described = describe(asked, names, rng)
    return make_record(line["text"], found, described, line["lang"], source)


def part_passages(
    folder: Path, val_part: float, rng: random.Random
) -> Tuple[List[Passage], List[Passage]]:
    """Read passages to train on and to validate on, in a random order.

    folder (Path): Passages in markup. Where it fixes its parts, these hold, and "test" is left out.
    val_part (float): Otherwise the part to validate on, between 0 and 1.
    rng (random.Random): Source of chance.
    RETURNS (Tuple[List[Passage], List[Passage]]): Those to train on, and those to validate on.
    RAISES (ValueError): As `read_folder` and `read_splits`.
    """
    if not has_splits(folder):
        return split_passages(read_folder(folder), val_part, rng)
    parts = read_splits(folder)
    rng.shuffle(parts["train"])
    rng.shuffle(parts["dev"])
    return parts["train"], parts["dev"]


def split_passages(
    passages: Iterable[Passage], part: float, rng: random.Random
) -> Tuple[List[Passage], List[Passage]]:
    """Set some passages aside, so that no text stands on both sides.

    passages (Iterable[Passage]): All passages.
    part (float): The part to set aside, between 0 and 1.
    rng (random.Random): Source of chance.
    RETURNS (Tuple[List[Passage], List[Passage]]): The rest, and those set aside.
    """
    shuffled = list(passages)
    rng.shuffle(shuffled)
    count = max(1, round(len(shuffled) * part))
    texts = {passage.text for passage in shuffled[:count]}
    aside = [passage for passage in shuffled if passage.text in texts]
    return [passage for passage in shuffled if passage.text not in texts], aside
