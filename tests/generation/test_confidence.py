"""Confidences keep the order of probabilities, and say how often such entities are right."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_nerllm.evaluation.scorers import calibration_error
from spacy_nerllm.generation.confidence import (
    Confidence,
    Confidences,
    read_confidences,
    store_confidences,
)
from spacy_nerllm.generation.protocol import Answer
from spacy_nerllm.training.confidence import fit

probabilities = st.floats(0, 1)
lines = st.builds(Confidence, st.floats(0.1, 10), st.floats(-5, 5))


@given(line=lines, one=probabilities, two=probabilities)
def test_the_order_of_probabilities_is_kept(line: Confidence, one: float, two: float):
    low, high = sorted((one, two))
    assert 0 <= line(low) <= line(high) <= 1


@given(probabilities)
def test_without_a_fit_a_probability_is_the_confidence(probability: float):
    assert Confidence()(probability) == probability


@given(open_=lines, given_=lines)
def test_what_is_stored_is_read(open_: Confidence, given_: Confidence):
    kept = store_confidences({"more": 1}, Confidences(open_, given_))
    assert kept["more"] == 1
    found = read_confidences(kept)
    assert found.of(None) == open_ and found.of(["person"]) == given_
    assert read_confidences({}) == Confidences()


@pytest.mark.parametrize("line", [Confidence(0.5, -1.0), Confidence(2.0, 0.5)])
def test_a_fit_finds_how_often_scores_are_right(line: Confidence):
    rng = random.Random(0)
    scores = [rng.betavariate(3, 1) for _ in range(5000)]
    scored = [(score, rng.random() < line(score)) for score in scores]
    fitted = fit(scored)
    assert fitted.slope == pytest.approx(line.slope, abs=0.15)
    assert fitted.shift == pytest.approx(line.shift, abs=0.15)
    hits = [hit for _, hit in scored]
    before = calibration_error(scores, hits)
    assert calibration_error([fitted(score) for score in scores], hits) < min(0.03, before / 3)


@pytest.mark.parametrize("scored", [[], [(0.9, True)] * 100, [(0.9, False)] * 100, [(0.5, True)]])
def test_what_says_nothing_is_not_fitted(scored: list):
    assert fit(scored) == Confidence()


def test_the_probability_of_a_part_is_that_of_its_tokens():
    answer = Answer('{"Ada": "x"}', [1, 5, 9, 12], [-1.0, -0.1, -0.2, -3.0], True)
    assert answer.probability(1, 9) == pytest.approx(2.718281828**-0.3)
