"""Confidences keep the order of probabilities, and say how often such entities are right."""

import random
import shutil
from pathlib import Path
from typing import Any, List

import pytest
import spacy
import srsly
from hypothesis import given
from hypothesis import strategies as st

from spacy_nerllm.corpus.records import Record
from spacy_nerllm.evaluation.scorers import calibration_error
from spacy_nerllm.generation.confidence import (
    Confidence,
    Confidences,
    read_confidences,
    store_confidences,
)
from spacy_nerllm.generation.protocol import Answer
from spacy_nerllm.training.confidence import fit, fit_confidences
from spacy_nerllm.training.selection import Answered

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
    assert fitted is not None
    assert fitted.slope == pytest.approx(line.slope, abs=0.15)
    assert fitted.shift == pytest.approx(line.shift, abs=0.15)
    hits = [hit for _, hit in scored]
    before = calibration_error(scores, hits)
    assert calibration_error([fitted(score) for score in scores], hits) < min(0.03, before / 3)


@pytest.mark.parametrize("scored", [[], [(0.9, True)] * 49])
def test_too_few_pairs_are_not_fitted(scored: list):
    assert fit(scored) is None


@pytest.mark.parametrize(
    "scored",
    [
        [(0.9, True)] * 100,
        [(0.9, False)] * 100,
        # A line parts them without an error.
        [(0.2, False)] + [(0.9 + index / 1000, True) for index in range(99)],
    ],
)
def test_what_is_all_right_or_parted_gives_scores_that_can_be_used(scored: list):
    fitted = fit(scored)
    assert fitted is not None
    assert all(0 <= fitted(score) <= 1 for score in (0.0, 1e-9, 0.5, 1 - 1e-9, 1.0))
    right = sum(hit for _, hit in scored) / len(scored)
    assert sum(fitted(score) for score, _ in scored) / len(scored) == pytest.approx(right, abs=0.05)


def test_a_mode_with_too_few_pairs_keeps_what_it_has():
    record = Record(input="a", output={"a": "x"}, types=["x"], lang="en", source="")
    answered = [Answered(record, {("a", "x"): 0.6}), Answered(record, {("b", "x"): 0.6})] * 50
    before = Confidences(open=Confidence(0.5, -1.0), given=Confidence(0.7, 0.1))
    fitted = fit_confidences(answered, before)
    assert fitted.open == before.open
    assert fitted.given(0.6) == pytest.approx(0.5, abs=0.02)


def test_an_adapters_confidences_reach_the_spans(
    tiny_base: Path, tiny_adapter: Path, tmp_path: Path
):
    """From its file through the component to doc.spans, and the threshold compares with them."""
    fitted = shutil.copytree(tiny_adapter, tmp_path / "adapter")
    info = srsly.read_json(fitted / "nerllm.json")
    line = Confidence(0.5, -1.0)
    info["extra"] = store_confidences({}, Confidences(open=line))
    srsly.write_json(fitted / "nerllm.json", info)

    def scores(adapter: Path, **config: Any) -> List[float]:
        nlp = spacy.blank("en")
        own = {"base": str(tiny_base), "adapter": str(adapter), "dtype": "float32"}
        nlp.add_pipe("nerllm", config={**own, "constrain": True, "max_new_tokens": 60, **config})
        return nlp("Ada left Rome. Bo, of Ulm, did not.").spans["nerllm"].attrs["scores"]

    plain, turned = scores(tiny_adapter), scores(fitted)
    assert plain and turned == pytest.approx([line(score) for score in plain])
    # With given types it has none.
    assert scores(fitted, labels=["x"]) == scores(tiny_adapter, labels=["x"])
    limit = sorted(turned)[len(turned) // 2]
    assert scores(fitted, threshold=limit) == [score for score in turned if score >= limit]


def test_the_probability_of_a_part_is_that_of_its_tokens():
    answer = Answer('{"Ada": "x"}', [1, 5, 9, 12], [-1.0, -0.1, -0.2, -3.0], True)
    assert answer.probability(1, 9) == pytest.approx(2.718281828**-0.3)
