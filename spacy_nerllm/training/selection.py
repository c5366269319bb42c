"""How good an adapter is while it is trained: what it answers, and the F1 of that."""

from collections import defaultdict
from typing import Dict, Iterable, Iterator, List, NamedTuple, Tuple

from ..corpus.records import Record
from ..entity_map import read_answer
from ..generation.local import LocalGenerator

_BATCH_TOKENS = 12288


class Answered(NamedTuple):
    """A record and what an adapter answers.

    record (Record): The record.
    pairs (Dict[Tuple[str, str], float]): Surface and type of each pair, and its probability.
    """

    record: Record
    pairs: Dict[Tuple[str, str], float]


def answer_records(
    generator: LocalGenerator, records: Iterable[Record], max_new_tokens: int
) -> Iterator[Answered]:
    """Let an adapter answer records.

    generator (LocalGenerator): Has the adapter.
    records (Iterable[Record]): The records.
    max_new_tokens (int): The most tokens of an answer.
    YIELDS (Answered): Each record, in any order.
    """
    by_types: Dict[str, List[Record]] = defaultdict(list)
    for record in records:
        # Also the order counts, and what is described.
        by_types[repr(record["types"])].append(record)
    for group in by_types.values():
        types = group[0]["types"]
        prompts = [generator.render(record["input"], types) for record in group]
        answers = generator.generate(
            prompts, types, max_new_tokens=max_new_tokens, batch_tokens=_BATCH_TOKENS
        )
        for record, answer in zip(group, answers, strict=True):
            pairs = read_answer(answer.text).pairs
            probabilities = [answer.probability(pair.start, pair.end) for pair in pairs]
            keys = [(pair.surface, pair.type) for pair in pairs]
            yield Answered(record, dict(zip(keys, probabilities, strict=True)))


def score_answers(answered: Iterable[Answered]) -> float:
    """Score the pairs of an adapter's maps.

    answered (Iterable[Answered]): From `answer_records`.
    RETURNS (float): Micro F1 of pairs of surface and type, from 0 to 1.
    """
    right = found = wanted = 0
    for record, pairs in answered:
        gold = set(record["output"].items())
        right += len(gold & set(pairs))
        found += len(pairs)
        wanted += len(gold)
    return 2 * right / (found + wanted) if found + wanted else 1.0
