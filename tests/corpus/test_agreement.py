"""Passages are chosen over all domains, written blind, and compared to the character."""

from collections import Counter
from pathlib import Path

import pytest

from spacy_nerllm.corpus.agreement import (
    Disagreement,
    disagreements,
    pair_up,
    sample_evenly,
    write_passages,
)
from spacy_nerllm.corpus.markup import Passage, parse_markup, read_folder
from spacy_nerllm.evaluation.scorers import score_spans

ASSETS = Path(__file__).parents[2] / "assets"
SHIPPED = ASSETS / "open_types"


def _passages() -> list:
    return [
        Passage(f"{lang}-{domain}-{n}", domain, lang, f"Text {n}.", [(0, 4, "x")])
        for lang in ("de", "en")
        for domain, count in (("law", 10), ("news", 30))
        for n in range(count)
    ]


def test_each_domain_is_chosen_in_proportion():
    chosen = sample_evenly(_passages(), 20, seed=0)
    assert len({passage.id for passage in chosen}) == 20
    counts = Counter((passage.lang, passage.domain) for passage in chosen)
    wanted = {"law": 10 / 4, "news": 30 / 4}
    assert all(abs(count - wanted[domain]) < 1 for (_, domain), count in counts.items())


def test_no_more_are_chosen_than_there_are():
    chosen = sample_evenly(_passages(), 1000, seed=0)
    assert sorted(chosen) == sorted(_passages())


def test_the_seed_alone_decides():
    passages = _passages()
    chosen = sample_evenly(passages, 20, seed=1)
    assert sample_evenly(reversed(passages), 20, seed=1) == chosen
    assert sample_evenly(passages, 20, seed=2) != chosen


@pytest.mark.parametrize("marked", [True, False])
def test_what_is_written_is_read_with_or_without_marks(tmp_path: Path, marked: bool):
    passages = _passages()
    write_passages(tmp_path, passages, marked=marked)
    found = {passage.id: passage for passage in read_folder(tmp_path)}
    for passage in passages:
        entities = passage.entities if marked else []
        assert found[passage.id] == passage._replace(entities=entities)


def test_shipped_passages_survive_being_written(tmp_path: Path):
    passages = list(read_folder(SHIPPED))
    write_passages(tmp_path, passages)
    assert sorted(read_folder(tmp_path)) == sorted(passages)


def _passage(marked: str) -> Passage:
    return Passage("a", "news", "en", *parse_markup(marked))


def test_disagreements_are_spans_and_types():
    first = _passage("[[Ada|person]] saw [[New York|city]] in [[May|date]].")
    second = _passage("[[Ada|person]] saw [[New York|state]] [[in May|date]].")
    assert list(disagreements(first, second)) == [
        Disagreement("a", "New York", "city", "state"),
        Disagreement("a", "in May", "", "date"),
        Disagreement("a", "May", "date", ""),
    ]
    assert not list(disagreements(first, first))


def test_a_changed_text_is_refused():
    first = _passage("[[Ada|person]] met.")
    with pytest.raises(ValueError, match="'a' is no passage.*or its text was changed"):
        list(pair_up([first], [_passage("Ada met!")]))
    assert list(pair_up([first], [_passage("Ada met.")])) == [(first, _passage("Ada met."))]


def test_the_two_annotations_of_the_corpus_agree():
    folders = [ASSETS / "agreement" / name for name in ("first", "second")]
    pairs = list(pair_up(*map(read_folder, folders)))
    assert len(pairs) == 300
    first, second = ([pair[side].entities for pair in pairs] for side in (0, 1))
    assert score_spans(first, second, typed=False).f1 >= 0.9
    assert score_spans(first, second).f1 >= 0.85
