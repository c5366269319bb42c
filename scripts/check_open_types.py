"""Check the open-type corpus: the rules of its guide, and how varied it is."""

from collections import Counter, defaultdict
from pathlib import Path
from typing import Annotated, Dict, Iterator, List, Optional

import srsly
import typer
from wasabi import msg

from spacy_nerllm.corpus.bounds import LEAST_WORDS, MOST_WORDS, missed_bounds
from spacy_nerllm.corpus.checks import (
    PassageChecker,
    Statistics,
    collect_statistics,
    hard_cases,
    repeated_openings,
    shared_phrases,
    type_counts,
)
from spacy_nerllm.corpus.markup import Passage
from spacy_nerllm.corpus.splits import read_splits


def main(
    passages: Annotated[Path, typer.Argument(help="Folder of passages in markup")] = Path(
        "assets/open_types"
    ),
    evaluation: Annotated[
        Optional[Path], typer.Option(help="Folder of corpora, JSONL, to share no text with")
    ] = None,
    types: Annotated[bool, typer.Option("--types", help="Also print every type")] = False,
) -> None:
    parts = read_splits(passages)
    found = [passage for part in parts.values() for passage in part]
    groups = srsly.read_json(passages / "inventory.json")
    inventory = frozenset(name for group in groups.values() for name in group)
    checker = PassageChecker(LEAST_WORDS, MOST_WORDS)
    problems = [problem for passage in found for problem in checker.check(passage)]
    problems += shared_phrases(found, _texts(evaluation))
    problems += repeated_openings(found)
    show(found, inventory, types)
    missed = list(missed_bounds(collect_statistics(found, inventory), parts))
    for problem in problems:
        msg.fail(f"{problem.id}: {problem.text}")
    for bound in missed:
        msg.fail(f"Wanted: {bound}")
    if problems or missed:
        raise typer.Exit(1)
    msg.good(f"{len(found)} passages keep every rule")


def _texts(evaluation: Optional[Path]) -> Iterator[str]:
    for path in sorted(evaluation.glob("*.jsonl")) if evaluation else ():
        for line in srsly.read_jsonl(path):
            yield line["text"]


def show(passages: List[Passage], inventory: frozenset, types: bool) -> None:
    languages: Dict[str, List[Passage]] = defaultdict(list)
    domains: Dict[str, List[Passage]] = defaultdict(list)
    for passage in passages:
        languages[passage.lang].append(passage)
        domains[f"{passage.lang}/{passage.domain}"].append(passage)
    _table("domain", domains, inventory)
    _table("language", {**languages, "all": passages}, inventory)
    kinds = Counter(kind for passage in passages for kind in hard_cases(passage))
    shares = {kind: f"{count / len(passages):.1%}" for kind, count in kinds.most_common()}
    msg.table(shares, header=("hard case", "passages"), divider=True, aligns=("l", "r"))
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
