"""What is reported of tagged texts, with open types and with given ones, in percent."""

from typing import Any, Collection, Dict, List

from ..corpus.type_names import TypeNames
from .scorers import (
    PRF,
    Span,
    assign_types,
    calibration_error,
    retype,
    score_clusters,
    score_spans,
)
from .tagged import Tagged
from .type_mapping import map_types

# What may be wrong with an answer, see `NerLLM.counts`.
_COUNTS = ("answers", "salvaged", "truncated", "looped", "unplaced", "conflicts")


def given_quality(tagged: Tagged, seen: Collection[str]) -> Dict[str, Any]:
    """Score texts that were tagged with given types.

    tagged (Tagged): The texts.
    seen (Collection[str]): Names of types that training has seen. If there are any, types that it
        has seen and others are scored apart too.
    RETURNS (Dict[str, Any]): Exact scores, and what was wrong with answers.
    """
    typed = score_spans(tagged.gold, tagged.predicted)
    apart = {}
    if seen:
        sides = (*tagged.gold, *tagged.predicted)
        types = {type_ for text in sides for *_, type_ in text}
        for name, part in (("seen", types & set(seen)), ("unseen", types - set(seen))):
            gold, predicted = (_of_types(side, part) for side in (tagged.gold, tagged.predicted))
            apart[f"{name}_types"] = len(part)
            apart[f"{name}_f1"] = _percent(score_spans(gold, predicted).f1) if part else None
    return {**_basics(tagged, typed), **apart, "calibration_error": _calibration(tagged)}


def open_quality(tagged: Tagged, names: TypeNames) -> Dict[str, Any]:
    """Score texts that were tagged with open types.

    tagged (Tagged): The texts.
    names (TypeNames): Broader types and synonyms, for `map_types`.
    RETURNS (Dict[str, Any]): Exact scores, AMI, mapped scores, and what was wrong with answers.
    """
    gold, predicted = tagged.gold, tagged.predicted
    inventory = {type_ for text in gold for *_, type_ in text}
    types = {type_ for text in predicted for *_, type_ in text}
    by_rule = retype(predicted, map_types(types, inventory, names))
    assigned = assign_types(gold, predicted)
    # A type that none is left for is right nowhere, whatever it is called.
    best = retype(predicted, {type_: assigned.get(type_, "") for type_ in types})
    return {
        **_basics(tagged, score_spans(gold, predicted)),
        "ami": _percent(score_clusters(gold, predicted)),
        "mapped_f1": _percent(score_spans(gold, by_rule).f1),
        "one_to_one_f1": _percent(score_spans(gold, best).f1),
        "types": len(types),
        "gold_types": len(inventory),
        "calibration_error": _calibration(tagged),
    }


def _basics(tagged: Tagged, typed: PRF) -> Dict[str, Any]:
    counts = tagged.counts
    return {
        "texts": len(tagged.gold),
        "precision": _percent(typed.precision),
        "recall": _percent(typed.recall),
        "typed_f1": _percent(typed.f1),
        "span_f1": _percent(score_spans(tagged.gold, tagged.predicted, typed=False).f1),
        "strict": _percent(1 - counts["salvaged"] / max(1, counts["answers"])),
        "seconds": round(tagged.seconds, 1),
        **{name: counts[name] for name in _COUNTS},
    }


def _calibration(tagged: Tagged) -> float:
    """Of boundaries and types together."""
    right: List[bool] = []
    for gold, predicted in zip(tagged.gold, tagged.predicted, strict=True):
        right += [span in gold for span in predicted]
    scores = [score for text in tagged.scores for score in text]
    return round(calibration_error(scores, right), 3)


def _of_types(spans: List[List[Span]], types: Collection[str]) -> List[List[Span]]:
    return [[span for span in text if span[2] in types] for text in spans]


def _percent(part: float) -> float:
    return round(100 * part, 2)
