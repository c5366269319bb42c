"""Streams keep their order and lose no doc; what is wrong is counted and logged."""

import json
import logging
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
import spacy
from conftest import (
    BANK,
    BANK_ANSWER,
    MakePipe,
    Scripted,
    ents_of,
)
from spacy.language import Language

# Streams


def _numbered(count: int) -> Tuple[List[str], Dict[str, str]]:
    texts = [f"Number {n} is in Town{n}." * (1 + n % 3) for n in range(count)]
    return texts, {text: json.dumps({f"Town{n}": "place"}) for n, text in enumerate(texts)}


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
@pytest.mark.parametrize("batch_tokens", [1, 20, 2048])
def test_a_stream_keeps_its_order(make_pipe: MakePipe, batch_size: int, batch_tokens: int):
    texts, answers = _numbered(20)
    nlp, _ = make_pipe(answers, {"batch_tokens": batch_tokens})
    docs = list(nlp.pipe(texts, batch_size=batch_size))
    assert [doc.text for doc in docs] == texts
    assert all(doc.ents[0].text == f"Town{n}" for n, doc in enumerate(docs))


def test_a_stream_is_read_as_it_is_needed(make_pipe: MakePipe):
    read = []

    def stream():
        for n in range(1000):
            read.append(n)
            yield f"Text {n}"

    nlp, _ = make_pipe({})
    next(iter(nlp.pipe(stream(), batch_size=4)))
    assert len(read) < 20


def test_tuples_keep_their_context(make_pipe: MakePipe):
    texts, answers = _numbered(5)
    nlp, _ = make_pipe(answers)
    pairs = list(nlp.pipe([(text, {"id": n}) for n, text in enumerate(texts)], as_tuples=True))
    assert [context["id"] for _, context in pairs] == list(range(5))
    assert [doc.ents[0].text for doc, _ in pairs] == [f"Town{n}" for n in range(5)]


def test_one_failing_doc_spoils_no_other(make_pipe: MakePipe):
    texts, answers = _numbered(6)
    nlp, _ = make_pipe(answers, failing=[texts[2]])
    failed = []
    nlp.set_error_handler(lambda name, proc, docs, error: failed.append((name, docs, error)))
    docs = list(nlp.pipe(texts))
    assert [doc.text for doc in docs] == texts
    assert [len(doc.ents) > 0 for doc in docs] == [True, True, False, True, True, True]
    [(name, bad, error)] = failed
    assert name == "nerllm" and bad == [docs[2]] and "scripted failure" in str(error)


def test_a_model_that_cannot_be_loaded_is_tried_once_and_is_no_fault_of_the_docs(tmp_path: Path):
    nlp = spacy.blank("en")
    nlp.add_pipe("nerllm", config={"adapter": str(tmp_path)})
    failed = []
    nlp.set_error_handler(lambda *args: failed.append(args))
    with pytest.raises(FileNotFoundError, match="adapter_config.json"):
        list(nlp.pipe(["one", "two", "three"]))
    assert not failed


def test_a_doc_that_cannot_be_annotated_spoils_no_other(
    make_pipe: MakePipe, monkeypatch: pytest.MonkeyPatch
):
    texts, answers = _numbered(3)
    nlp, _ = make_pipe(answers)
    component = nlp.get_pipe("nerllm")
    annotate = component.set_annotations

    def fail_on_the_second(docs: List[Any], predictions: List[Any]) -> None:
        if docs[0].text == texts[1]:
            raise RuntimeError("cannot be annotated")
        annotate(docs, predictions)

    monkeypatch.setattr(component, "set_annotations", fail_on_the_second)
    failed = []
    nlp.set_error_handler(lambda name, proc, docs, error: failed.extend(docs))
    docs = list(nlp.pipe(texts))
    assert [doc.text for doc in docs] == texts
    assert [len(doc.ents) > 0 for doc in docs] == [True, False, True]
    assert failed == [docs[1]]


def test_a_failing_doc_raises_by_default(make_pipe: MakePipe):
    nlp, _ = make_pipe({}, failing=["bad"])
    with pytest.raises(RuntimeError, match="scripted failure"):
        list(nlp.pipe(["good", "bad"]))
    with pytest.raises(RuntimeError, match="scripted failure"):
        nlp("bad")


def test_a_failing_doc_does_not_count_its_neighbours_twice(make_pipe: MakePipe):
    texts, answers = _numbered(6)
    nlp, _ = make_pipe(answers, failing=[texts[5]])
    nlp.set_error_handler(lambda *args: None)
    list(nlp.pipe(texts))
    assert nlp.get_pipe("nerllm").counts["answers"] == 5


# Counts and warnings


def _counts(nlp: Language) -> Dict[str, int]:
    return {name: count for name, count in nlp.get_pipe("nerllm").counts.items() if count}


def test_a_right_answer_is_counted_and_nothing_logged(
    make_pipe: MakePipe, caplog: pytest.LogCaptureFixture
):
    nlp, _ = make_pipe({BANK: BANK_ANSWER})
    nlp(BANK)
    assert _counts(nlp) == {"answers": 1}
    assert not caplog.records


def test_a_surface_that_stands_nowhere_is_counted(make_pipe: MakePipe):
    nlp, _ = make_pipe({BANK: '{"Paris": "place", "Lond": "place", "London": "place"}'})
    assert ents_of(nlp(BANK)) == [("London", "place")]
    assert _counts(nlp) == {"answers": 1, "unplaced": 2}


def test_a_broken_answer_is_salvaged_counted_and_logged(
    make_pipe: MakePipe, caplog: pytest.LogCaptureFixture
):
    nlp, _ = make_pipe({BANK: '{"London": "place", "England" "pl'})
    assert ents_of(nlp(BANK)) == [("London", "place")]
    assert _counts(nlp) == {"answers": 1, "salvaged": 1}
    assert "was no strict map" in caplog.text and BANK in caplog.text


def test_two_types_of_a_surface_are_counted_and_logged(
    make_pipe: MakePipe, caplog: pytest.LogCaptureFixture
):
    nlp, _ = make_pipe({BANK: '{"London": "city", "London": "place"}'})
    assert ents_of(nlp(BANK)) == [("London", "city")]
    assert _counts(nlp) == {"answers": 1, "conflicts": 1}
    assert "'London' two types: kept 'city', not 'place'" in caplog.text


def test_a_cut_answer_is_counted_and_logged(make_pipe: MakePipe, caplog: pytest.LogCaptureFixture):
    script = Scripted('{"London": "place", "Engl', complete=False)
    nlp, _ = make_pipe({BANK: script}, {"max_new_tokens": 77})
    assert ents_of(nlp(BANK)) == [("London", "place")]
    assert _counts(nlp) == {"answers": 1, "truncated": 1, "salvaged": 1}
    assert "max_new_tokens=77" in caplog.text
    assert "was no strict map" not in caplog.text


def test_warnings_are_logged_under_the_package_s_name(
    make_pipe: MakePipe, caplog: pytest.LogCaptureFixture
):
    nlp, _ = make_pipe({BANK: "no map at all"})
    nlp(BANK)
    [record] = caplog.records
    assert record.name == "spacy_nerllm" and record.levelno == logging.WARNING
