"""Scores of spans, against counts made by hand and against spaCy's own scorer."""

from hypothesis import given
from hypothesis import strategies as st
from spacy.scorer import PRFScore

from spacy_nerllm.evaluation.scorers import score_spans

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
