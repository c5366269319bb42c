"""Scores of spans, against counts made by hand and against spaCy's own scorer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spacy.scorer import PRFScore

from spacy_nerllm.corpus.type_names import TypeNames
from spacy_nerllm.evaluation.scorers import (
    assign_types,
    calibration_error,
    retype,
    score_clusters,
    score_spans,
)
from spacy_nerllm.evaluation.type_mapping import map_types

starts = st.integers(0, 6)
spans = st.sets(st.tuples(starts, st.integers(7, 9), st.sampled_from("ab")), max_size=6)


def test_a_wrong_type_counts_only_where_types_do():
    gold, predicted = [[(0, 3, "a"), (4, 6, "a")]], [[(0, 3, "b")]]
    assert score_spans(gold, predicted) == (0.0, 0.0, 0.0)
    assert score_spans(gold, predicted, typed=False) == (1.0, 0.5, 2 / 3)


def test_nothing_to_find_and_nothing_found_is_right():
    assert score_spans([[]], [[]]) == (1.0, 1.0, 1.0)
    assert score_spans([[]], [[(0, 1, "a")]]).f1 == 0.0
    assert score_spans([[(0, 1, "a")]], [[]]).f1 == 0.0


@given(st.lists(st.tuples(spans, spans), min_size=1, max_size=4))
def test_scores_are_those_of_spacy(texts):
    expected = PRFScore()
    for gold, predicted in texts:
        expected.score_set(predicted, gold)
    found = score_spans([gold for gold, _ in texts], [predicted for _, predicted in texts])
    if expected.tp:
        assert abs(found.f1 - expected.fscore) < 1e-9
    else:
        assert found.f1 in (0.0, 1.0)


def test_types_that_are_called_otherwise_are_as_good():
    gold = [[(0, 3, "a"), (4, 6, "b")], [(0, 1, "a"), (2, 3, "b")]]
    predicted = [[(0, 3, "x"), (4, 6, "y")], [(0, 1, "x"), (2, 3, "y")]]
    assert score_clusters(gold, predicted) == pytest.approx(1)
    mixed = [[(0, 3, "x"), (4, 6, "y")], [(0, 1, "y"), (2, 3, "x")]]
    assert score_clusters(gold, mixed) < 0.1


def test_missed_and_spurious_mentions_cost():
    gold = [[(index, index + 1, "ab"[index % 2]) for index in range(20)]]
    assert score_clusters(gold, gold) == pytest.approx(1)
    half = [gold[0][:10]]
    extra = [[*gold[0], *((index, index + 1, "a") for index in range(30, 40))]]
    assert score_clusters(gold, half) < 0.8 and score_clusters(gold, extra) < 0.9
    assert score_clusters([[]], [[]]) == 1


@given(st.lists(st.tuples(spans, spans), min_size=1, max_size=4))
def test_clusters_are_those_of_whichever_side(texts):
    gold, predicted = ([_flat(side) for side in sides] for sides in zip(*texts, strict=True))
    forth, back = score_clusters(gold, predicted), score_clusters(predicted, gold)
    assert forth == pytest.approx(back, abs=1e-6) and forth <= 1 + 1e-9


def _flat(found):
    """One type a place."""
    return [(*place, type_) for place, type_ in {span[:2]: span[2] for span in found}.items()]


@given(st.lists(st.tuples(spans, spans), min_size=1, max_size=4))
def test_the_best_assignment_is_as_good_as_any(texts):
    gold, predicted = ([_flat(side) for side in sides] for sides in zip(*texts, strict=True))
    types = assign_types(gold, predicted)
    assert len(set(types.values())) == len(types)
    best = score_spans(gold, _only(retype(predicted, types), types)).precision
    for other in ({"a": "b", "b": "a"}, {"a": "a", "b": "b"}):
        right = sum(
            len(set(want) & set(have))
            for want, have in zip(gold, retype(predicted, other), strict=True)
        )
        assigned = sum(
            len(set(want) & set(have))
            for want, have in zip(gold, _only(retype(predicted, types), types), strict=True)
        )
        assert assigned >= right
    assert 0 <= best <= 1


def _only(found, types):
    return [[span for span in text if span[2] in types.values()] for text in found]


def test_scores_that_are_precisions_have_no_calibration_error():
    assert calibration_error([0.75] * 4, [True, True, True, False]) == pytest.approx(0)
    assert calibration_error([1.0, 1.0], [True, False]) == pytest.approx(0.5)
    assert calibration_error([0.2, 0.95], [True, True]) == pytest.approx((0.8 + 0.05) / 2)
    assert calibration_error([], []) == 0


NAMES = TypeNames(
    {"city": ["location", "place"], "club": ["organization"]}, {"organization": ["organisation"]}
)


@pytest.mark.parametrize(
    "type_, inventory, expected",
    [
        ("city", ["city", "location"], "city"),
        ("city", ["place", "location"], "location"),
        ("organization", ["organisation"], "organisation"),
        ("organisation", ["organization"], "organization"),
        ("football club", ["organization", "person"], "organization"),
        ("capital city", ["place"], "place"),
        ("dish", ["place"], None),
        ("", ["place"], None),
    ],
)
def test_an_open_type_is_taken_for_the_nearest_of_an_inventory(type_, inventory, expected):
    assert map_types([type_], inventory, NAMES).get(type_) == expected
