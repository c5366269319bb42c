"""What an adapter is trained on, as one file says it: passages, corpora, and their parts."""

import random
from pathlib import Path
from typing import Callable, Dict, Iterable, List, NamedTuple, Sequence, Tuple

import srsly
from pydantic import BaseModel, ConfigDict, Field

from ..errors import Errors
from .assemble import corpus_records, given_records, open_records
from .markup import Passage
from .noise import noisy_twins
from .records import Record
from .type_names import TypeNames

# The size of a record, in tokens or in what else is to be shared out.
Size = Callable[[Record], int]


class PassageUse(BaseModel):
    """How often a passage is asked for in each way.

    open (int): With no types given.
    noisy (int): The same, of a text with noise.
    given (int): With types given.
    weights (Dict[str, float]): Language to how often all that is done; once if not named. With
        0.7, seven of ten are.
    """

    model_config = ConfigDict(extra="forbid")

    open: int = Field(1, ge=0)
    noisy: int = Field(0, ge=0)
    given: int = Field(1, ge=0)
    weights: Dict[str, float] = {}


class Cap(BaseModel):
    """The most of some corpora together.

    corpora (List[str]): Their names.
    part (float): The most of all tokens, between 0 and 1.
    """

    model_config = ConfigDict(extra="forbid")

    corpora: List[str]
    part: float = Field(gt=0, lt=1)


class Mixture(BaseModel):
    """What to train on and to validate on.

    passages (PassageUse): How passages are asked for.
    corpora (Dict[str, int]): Corpus to the most records of it.
    validation (List[str]): Corpora of which nothing is trained on.
    held_out (float): The part of every other corpus that is not trained on either.
    val_records (int): The most records of each corpus to validate on.
    openly (bool): Ask corpora with no types given. Teaches to skip what they leave unmarked: good
        for nothing but to be compared with.
    caps (List[Cap]): Bounds for groups of corpora.
    languages (Dict[str, float]): Language to its part of all tokens. Records of corpora are left
        out until about that holds, passages never. Caps are applied then.
    """

    model_config = ConfigDict(extra="forbid")

    passages: PassageUse = PassageUse()
    corpora: Dict[str, int] = {}
    validation: List[str] = []
    held_out: float = Field(0.03, ge=0, lt=1)
    val_records: int = Field(15, ge=0)
    openly: bool = False
    caps: List[Cap] = []
    languages: Dict[str, float] = {}


class Parts(NamedTuple):
    """Records to train on and to validate on, each in a random order."""

    train: List[Record]
    val: List[Record]


def read_mixture(path: Path) -> Mixture:
    """Read a mixture.

    path (Path): JSON, see `Mixture`.
    RETURNS (Mixture): The mixture.
    RAISES (ValueError): If it is none; names the file and what is wrong.
    """
    try:
        return Mixture(**srsly.read_json(path))
    except (TypeError, ValueError) as error:
        raise ValueError(Errors.E071.format(path=path, problem=error)) from error


def passage_records(
    passages: Sequence[Passage],
    use: PassageUse,
    names: TypeNames,
    finer: Dict[str, Dict[str, str]],
    rng: random.Random,
) -> List[Record]:
    """Ask for the entities of passages in all ways.

    passages (Sequence[Passage]): Passages in which every entity is annotated.
    use (PassageUse): How often in which way.
    names (TypeNames): Broader types and synonyms.
    finer (Dict[str, Dict[str, str]]): Passage id to surface to a more specific type.
    rng (random.Random): Source of chance.
    RETURNS (List[Record]): The records.
    """
    records: List[Record] = []
    for _ in range(use.open):
        records += open_records(_weighted(passages, use.weights, rng))
    for _ in range(use.noisy):
        records += open_records(noisy_twins(_weighted(passages, use.weights, rng), rng))
    for _ in range(use.given):
        chosen = _weighted(passages, use.weights, rng)
        records += given_records(chosen, names, finer, 1, rng)
    return records


def _weighted(
    passages: Sequence[Passage], weights: Dict[str, float], rng: random.Random
) -> List[Passage]:
    chosen: List[Passage] = []
    for passage in passages:
        weight = weights.get(passage.lang, 1.0)
        chosen += [passage] * (int(weight) + (rng.random() < weight % 1))
    return chosen


def mix(
    mixture: Mixture,
    passages: Tuple[List[Record], List[Record]],
    corpora: Path,
    names: TypeNames,
    size: Size,
    seed: int,
) -> Parts:
    """Mix records of passages with those of corpora.

    mixture (Mixture): What to take of which.
    passages (Tuple[List[Record], List[Record]]): Records of passages, to train on and to validate
        on. All are kept.
    corpora (Path): Folder of corpora, see `corpus_records`.
    names (TypeNames): Broader types and synonyms.
    size (Size): The size of a record, which caps and languages share out.
    seed (int): Of order and choices. What is held out of a corpus depends on it alone.
    RETURNS (Parts): The records.
    RAISES (ValueError): If there is no text of a language that is to have a part.
    """
    train, val = list(passages[0]), list(passages[1])
    free: List[Record] = []
    for name, most in mixture.corpora.items():
        # Of its own, so that a change to one corpus changes no other.
        rng = random.Random(f"{seed}/{name}")
        held_out = 1.0 if name in mixture.validation else mixture.held_out
        parts = corpus_records(
            corpora / f"{name}.jsonl", most, held_out, names, rng, openly=mixture.openly
        )
        free += parts[0]
        val += parts[1][: mixture.val_records]
    rng = random.Random(seed)
    rng.shuffle(free)
    free = _balanced(train, free, mixture.languages, size)
    train += _capped(train, free, mixture.caps, size)
    rng.shuffle(train)
    rng.shuffle(val)
    return Parts(train, val)


def _balanced(
    kept: Sequence[Record], free: Sequence[Record], shares: Dict[str, float], size: Size
) -> List[Record]:
    """Leave free records out until no language has more than its share."""
    if not shares:
        return list(free)
    of_kept, of_free = (_sizes(records, shares, size) for records in (kept, free))
    has = {lang: of_kept[lang] + of_free[lang] for lang in shares}
    missing = [lang for lang, tokens in has.items() if not tokens]
    if missing:
        raise ValueError(Errors.E072.format(languages=missing, found=sorted({*has} - {*missing})))
    total = min(has[lang] / share for lang, share in shares.items())
    chosen = [record for record in free if record["lang"] not in shares]
    for lang, share in shares.items():
        of_lang = [record for record in free if record["lang"] == lang]
        chosen += _within(of_lang, share * total - of_kept[lang], size)
    return chosen


def _sizes(records: Iterable[Record], langs: Iterable[str], size: Size) -> Dict[str, int]:
    """How much there is in each of some languages."""
    sizes = dict.fromkeys(langs, 0)
    for record in records:
        if record["lang"] in sizes:
            sizes[record["lang"]] += size(record)
    return sizes


def _capped(
    kept: Sequence[Record], free: Sequence[Record], caps: Sequence[Cap], size: Size
) -> List[Record]:
    """Leave free records out until no group of corpora has more than its part."""
    for cap in caps:
        others = [record for record in free if record["source"] not in cap.corpora]
        capped = [record for record in free if record["source"] in cap.corpora]
        total = sum(map(size, kept)) + sum(map(size, others))
        free = [*others, *_within(capped, total * cap.part / (1 - cap.part), size)]
    return list(free)


def _within(records: Iterable[Record], room: float, size: Size) -> List[Record]:
    """The first records for which there is room."""
    chosen = []
    for record in records:
        if size(record) <= room:
            chosen.append(record)
            room -= size(record)
    return chosen
