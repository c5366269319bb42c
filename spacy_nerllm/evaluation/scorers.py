"""Scores of spans, exact to the character. They take plain spans, not docs."""

from collections import Counter
from typing import Iterable, NamedTuple, Tuple

Span = Tuple[int, int, str]


class PRF(NamedTuple):
    """Precision, recall and their harmonic mean, each from 0 to 1.

    precision (float): Of the predicted spans, the part that is right.
    recall (float): Of the gold spans, the part that was found.
    f1 (float): Harmonic mean of both.
    """

    precision: float
    recall: float
    f1: float


def score_spans(
    gold: Iterable[Iterable[Span]], predicted: Iterable[Iterable[Span]], *, typed: bool = True
) -> PRF:
    """Score the spans of many texts together (micro average).

    gold (Iterable[Iterable[Tuple[int, int, str]]]): (start, end, type) for each text.
    predicted (Iterable[Iterable[Tuple[int, int, str]]]): The same, in the same order.
    typed (bool): Whether the type counts, or the boundaries alone.
    RETURNS (PRF): The scores. Where there is nothing to find and nothing found, 1.
    """
    right = found = wanted = 0
    for gold_spans, predicted_spans in zip(gold, predicted, strict=True):
        want, have = _keys(gold_spans, typed), _keys(predicted_spans, typed)
        right += (want & have).total()
        wanted += want.total()
        found += have.total()
    precision = right / found if found else float(not wanted)
    recall = right / wanted if wanted else float(not found)
    total = precision + recall
    return PRF(precision, recall, 2 * precision * recall / total if total else 0.0)


def _keys(spans: Iterable[Span], typed: bool) -> Counter:
    return Counter((start, end, type_ if typed else "") for start, end, type_ in spans)
