"""Check the open-type corpus: the rules of its guide, and how varied it is."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Annotated, Dict, Iterator, List, Optional

import srsly
import typer
from wasabi import msg

from spacy_nerllm.corpus.checks import (
    PassageChecker,
    Statistics,
    collect_statistics,
    repeated_openings,
    shared_phrases,
    type_counts,
)
from spacy_nerllm.corpus.markup import Passage, read_folder
from spacy_nerllm.corpus.splits import read_splits

LEAST_WORDS, MOST_WORDS = 25, 300

# At least so many passages of each language, and of each English domain.
PASSAGES = {"en": 2000, "de": 500, "es": 500}
DOMAINS, IN_A_DOMAIN = 24, 60
PARTS = {"train": 2550, "dev": 150, "test": 300}
TEST = {"en": 180, "de": 60, "es": 60}


def main(
    passages: Annotated[Path, typer.Argument(help="Folder of passages in markup")] = Path(
        "assets/open_types"
    ),
    evaluation: Annotated[
        Optional[Path], typer.Option(help="Folder of corpora, JSONL, to share no text with")
    ] = None,
    types: Annotated[bool, typer.Option("--types", help="Also print every type")] = False,
) -> None:
    found = list(read_folder(passages))
    groups = srsly.read_json(passages / "inventory.json")
    inventory = frozenset(name for group in groups.values() for name in group)
    checker = PassageChecker(LEAST_WORDS, MOST_WORDS)
    problems = [problem for passage in found for problem in checker.check(passage)]
    problems += shared_phrases(found, _texts(evaluation))
    problems += repeated_openings(found)
    show(found, inventory, types)
    missed = [*_missed(collect_statistics(found, inventory)), *_missing(found), *_parts(passages)]
    for problem in problems:
        msg.fail(f"{problem.id}: {problem.text}")
    for bound in missed:
        msg.fail(bound)
    if problems or missed:
        raise typer.Exit(1)
    msg.good(f"{len(found)} passages keep every rule")


def _texts(evaluation: Optional[Path]) -> Iterator[str]:
    for path in sorted(evaluation.glob("*.jsonl")) if evaluation else ():
        for line in srsly.read_jsonl(path):
            yield line["text"]


def _missed(statistics: Statistics) -> Iterator[str]:
    """Bounds that the corpus as a whole does not keep."""
    bounds = {
        "distinct surfaces, at least 12,000": statistics.surfaces >= 12_000,
        "types of five passages or more, at least 150": statistics.common_types >= 150,
        "mentions with a type of the inventory, at least 85 %": statistics.inventory >= 0.85,
        "mentions with a rare type, at most 3 %": statistics.tail <= 0.03,
        "passages without an entity, 7 to 10 %": 0.07 <= statistics.empty <= 0.1,
        "passages of more than 130 words, 8 to 12 %": 0.08 <= statistics.long <= 0.12,
        "passages with a hard case, at least a third": statistics.hard >= 1 / 3,
    }
    yield from (name for name, kept in bounds.items() if not kept)


def _missing(passages: List[Passage]) -> Iterator[str]:
    """Languages and domains with too few passages."""
    languages = Counter(passage.lang for passage in passages)
    for lang, least in PASSAGES.items():
        if languages[lang] < least:
            yield f"{languages[lang]} passages in {lang}, but {least} are wanted"
    domains = Counter(passage.domain for passage in passages if passage.lang == "en")
    full = sum(count >= IN_A_DOMAIN for count in domains.values())
    if full < DOMAINS:
        yield f"{full} English domains with {IN_A_DOMAIN} passages, but {DOMAINS} are wanted"


def _parts(folder: Path) -> Iterator[str]:
    parts = read_splits(folder)
    for part, count in PARTS.items():
        if len(parts[part]) != count:
            yield f"{len(parts[part])} passages in {part}, but {count} are wanted"
    test = Counter(passage.lang for passage in parts["test"])
    if test != TEST:
        yield f"{dict(test)} passages in test, but {TEST} are wanted"


def show(passages: List[Passage], inventory: frozenset, types: bool) -> None:
    languages: Dict[str, List[Passage]] = defaultdict(list)
    domains: Dict[str, List[Passage]] = defaultdict(list)
    for passage in passages:
        languages[passage.lang].append(passage)
        domains[f"{passage.lang}/{passage.domain}"].append(passage)
    _table("domain", domains, inventory)
    _table("language", {**languages, "all": passages}, inventory)
    if types:
        msg.table(type_counts(passages), header=("type", "mentions", "passages"), divider=True)


def _table(name: str, groups: Dict[str, List[Passage]], inventory: frozenset) -> None:
    rows = [
        (
            group,
            *(
                f"{value:.1%}" if isinstance(value, float) else value
                for value in collect_statistics(members, inventory)
            ),
        )
        for group, members in sorted(groups.items())
    ]
    header = (name, *(field.replace("_", " ") for field in Statistics._fields))
    msg.table(rows, header=header, divider=True, aligns=("l", *"r" * len(Statistics._fields)))


if __name__ == "__main__":
    typer.run(main)
