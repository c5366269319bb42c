"""Scores of spans, exact to the character. They take plain spans, not docs."""

from collections import Counter
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..errors import Errors

Span = Tuple[int, int, str]

# Stands for the type that a mention does not have because only the other side marks it.
_MISSED, _SPURIOUS = "\0missed", "\0spurious"


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


def score_clusters(gold: Iterable[Iterable[Span]], predicted: Iterable[Iterable[Span]]) -> float:
    """Score open types, whatever they are called: adjusted mutual information of types.

    Mentions are put together by their type, once by the gold one and once by the predicted one;
    mentions that one side misses are a class of their own, as in OWNER (Genest et al., 2025,
    https://doi.org/10.1109/access.2025.3552122). Needs scikit-learn.

    gold (Iterable[Iterable[Tuple[int, int, str]]]): (start, end, type) for each text.
    predicted (Iterable[Iterable[Tuple[int, int, str]]]): The same, in the same order.
    RETURNS (float): 1 where both sides part all mentions alike, about 0 for chance.
    RAISES (ImportError): If scikit-learn is not installed.
    """
    try:
        from sklearn.metrics import adjusted_mutual_info_score
    except ImportError as error:
        raise ImportError(Errors.E070.format(package="scikit-learn")) from error
    pairs = [pair for texts in zip(gold, predicted, strict=True) for pair in _paired(*texts)]
    if not pairs:
        return 1.0
    wanted = [_SPURIOUS if want is None else want for want, _ in pairs]
    found = [_MISSED if have is None else have for _, have in pairs]
    return float(adjusted_mutual_info_score(wanted, found))


def assign_types(
    gold: Iterable[Iterable[Span]], predicted: Iterable[Iterable[Span]]
) -> Dict[str, str]:
    """Find which predicted type is best taken for which gold one, each used once at the most.

    It sees the gold spans, so that what it scores is the bound of such an assignment and no
    result. Needs scipy.

    gold (Iterable[Iterable[Tuple[int, int, str]]]): (start, end, type) for each text.
    predicted (Iterable[Iterable[Tuple[int, int, str]]]): The same, in the same order.
    RETURNS (Dict[str, str]): Predicted type to gold type.
    RAISES (ImportError): If scipy is not installed.
    """
    try:
        from scipy.optimize import linear_sum_assignment
    except ImportError as error:
        raise ImportError(Errors.E070.format(package="scipy")) from error
    counts = Counter(
        (have, want)
        for texts in zip(gold, predicted, strict=True)
        for want, have in _paired(*texts)
        if want is not None and have is not None
    )
    rows = sorted({have for have, _ in counts})
    columns = sorted({want for _, want in counts})
    table = [[counts[have, want] for want in columns] for have in rows]
    if not table:
        return {}
    chosen = zip(*linear_sum_assignment(table, maximize=True), strict=True)
    return {rows[row]: columns[column] for row, column in chosen if table[row][column]}


def retype(spans: Iterable[Iterable[Span]], types: Dict[str, str]) -> List[List[Span]]:
    """Call types otherwise.

    spans (Iterable[Iterable[Tuple[int, int, str]]]): (start, end, type) for each text.
    types (Dict[str, str]): Type to its new name; others stay what they are.
    RETURNS (List[List[Tuple[int, int, str]]]): The spans.
    """
    return [[(start, end, types.get(type_, type_)) for start, end, type_ in text] for text in spans]


def calibration_error(scores: Sequence[float], right: Sequence[bool], bins: int = 10) -> float:
    """Expected calibration error (Naeini et al., 2015): how far scores are from precision.

    scores (Sequence[float]): Of spans, from 0 to 1.
    right (Sequence[bool]): Whether each is right.
    bins (int): Scores are put together in so many steps of equal width.
    RETURNS (float): Mean distance of the mean score of a step from its precision, weighted by how
        many spans it holds; 0 where there is none.
    """
    steps: Dict[int, List[Tuple[float, bool]]] = {}
    for score, hit in zip(scores, right, strict=True):
        steps.setdefault(min(int(score * bins), bins - 1), []).append((score, hit))
    gaps = (abs(sum(score - hit for score, hit in step)) for step in steps.values())
    return sum(gaps) / len(scores) if scores else 0.0


def _paired(
    gold: Iterable[Span], predicted: Iterable[Span]
) -> Iterator[Tuple[Optional[str], Optional[str]]]:
    """Gold and predicted type of each mention of a text, None where a side has none."""
    wanted = {(start, end): type_ for start, end, type_ in gold}
    found = {(start, end): type_ for start, end, type_ in predicted}
    for place in sorted({*wanted, *found}):
        yield wanted.get(place), found.get(place)
