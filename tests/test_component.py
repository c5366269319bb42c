"""The "nerllm" component keeps what spaCy promises of a pipe, with answers known beforehand."""

import json
import logging
import os
import pickle
import string
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import pytest
import spacy
import srsly
from conftest import Scripted, ScriptedGenerator
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.training import Example

from spacy_nerllm.entity_map import SYSTEM_PROMPT

CURIE = "Marie Curie was born in Warsaw. Marie Curie died in France."
CURIE_ANSWER = '{"Marie Curie": "person", "Warsaw": "place", "France": "place"}'

BANK = "The Bank of England is in London."
BANK_ANSWER = '{"Bank of England": "organisation", "England": "place", "London": "place"}'

MakePipe = Callable[..., Tuple[Language, ScriptedGenerator]]


@pytest.fixture
def make_pipe(tiny_tokenizer: Any) -> MakePipe:
    """Make a pipeline with scripted answers: (answers, config, settings of the generator)."""

    def make(
        answers: Dict[str, Any], config: Dict[str, Any] | None = None, **settings: Any
    ) -> Tuple[Language, ScriptedGenerator]:
        nlp = spacy.blank("en")
        component = nlp.add_pipe("nerllm", config=config or {})
        component._generator = ScriptedGenerator(tiny_tokenizer, answers, **settings)
        return nlp, component._generator

    return make


@pytest.fixture
def tiny_nlp(tiny_base: Path, tiny_adapter: Path) -> Language:
    """A pipeline with the tiny model."""
    nlp = spacy.blank("en")
    config = {
        "base": str(tiny_base),
        "adapter": str(tiny_adapter),
        "device": "cpu",
        "max_new_tokens": 20,
        "labels": ["person", "place"],
        "save_io": True,
    }
    nlp.add_pipe("nerllm", config=config)
    return nlp


def _ents(doc: Doc) -> List[Tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


def _spans(doc: Doc, key: str = "nerllm") -> List[Tuple[str, str]]:
    return [(span.text, span.label_) for span in doc.spans[key]]


# Settings


def test_the_defaults_are_those_of_the_documentation():
    nlp = spacy.blank("en")
    nlp.add_pipe("nerllm")
    assert nlp.get_pipe_config("nerllm") == {
        "factory": "nerllm",
        "labels": None,
        "label_map": {},
        "base": "smollm2-135m",
        "adapter": "default",
        "device": "auto",
        "dtype": "auto",
        "annotate": "both",
        "spans_key": "nerllm",
        "threshold": 0.0,
        "max_window_tokens": 256,
        "batch_tokens": 2048,
        "max_new_tokens": 512,
        "save_io": False,
        "scorer": {"@scorers": "spacy.ner_scorer.v1"},
    }


def test_adding_the_pipe_loads_no_model():
    nlp = spacy.blank("en")
    nlp.add_pipe("nerllm", config={"base": "/no/such/folder", "adapter": "/nor/this"})


def test_what_it_sets_is_declared():
    nlp = spacy.blank("en")
    nlp.add_pipe("nerllm")
    meta = nlp.get_factory_meta("nerllm")
    assert {"doc.ents", "token.ent_iob", "token.ent_type"} <= set(meta.assigns)
    assert meta.default_score_weights["ents_f"] == 1.0


GOOD_SETTINGS = [
    ("labels", ["person", "c++", "#tag", "語"]),
    ("label_map", {"person": "PERSON"}),
    ("base", "some/base"),
    ("adapter", "some/adapter"),
    ("device", "cuda:1"),
    ("dtype", "bfloat16"),
    ("annotate", "spans"),
    ("spans_key", "sc"),
    ("threshold", 0.5),
    ("threshold", 1),
    ("max_window_tokens", 100),
    ("batch_tokens", 1),
    ("max_new_tokens", 1),
    ("save_io", True),
]


@pytest.mark.parametrize("field,value", GOOD_SETTINGS)
def test_each_field_can_be_set(field: str, value: Any):
    nlp = spacy.blank("en")
    component = nlp.add_pipe("nerllm", config={field: value})
    assert getattr(component.settings, field) == value


@pytest.mark.parametrize("field,value", GOOD_SETTINGS)
def test_each_field_survives_the_config_file(field: str, value: Any):
    nlp = spacy.blank("en")
    nlp.add_pipe("nerllm", config={field: value})
    config = spacy.util.load_config_from_str(nlp.config.to_str())
    again = spacy.util.load_model_from_config(config)
    assert getattr(again.get_pipe("nerllm").settings, field) == value


def _names_of_all_kinds() -> List[str]:
    return [name for char in string.punctuation + "é語 " for name in (f"{char}a", f"a{char}b")]


# "@a" never comes to the component: spaCy takes it for the name of a registry.
@pytest.mark.parametrize("name", [name for name in _names_of_all_kinds() if name != "@a"])
def test_a_renamed_type_is_refused_or_survives_the_config_file(name: str):
    nlp = spacy.blank("en")
    try:
        component = nlp.add_pipe("nerllm", config={"label_map": {name: "X"}})
    except ValueError as error:
        assert "label_map" in str(error)
        return
    config = spacy.util.load_config_from_str(nlp.config.to_str())
    again = spacy.util.load_model_from_config(config).get_pipe("nerllm")
    assert again.settings.label_map == component.settings.label_map == {name: "X"}


@pytest.mark.parametrize("name", [*_names_of_all_kinds(), "${a}", "${a.b}"])
def test_a_label_is_refused_or_survives_in_a_saved_pipeline(
    tiny_adapter: Path, tmp_path: Path, name: str
):
    nlp = spacy.blank("en")
    try:
        nlp.add_pipe("nerllm", config={"labels": [name], "adapter": str(tiny_adapter)})
    except ValueError as error:
        assert "labels" in str(error)
        return
    nlp.to_disk(tmp_path)
    assert spacy.load(tmp_path).get_pipe("nerllm").settings.labels == [name]


BAD_SETTINGS = [
    ("labels", []),
    ("labels", "person"),
    ("labels", ["a", "a"]),
    ("labels", ["a;b"]),
    ("labels", [" a"]),
    ("labels", [""]),
    ("labels", [1]),
    ("labels", ["a\nb"]),
    ("label_map", {"a:b": "c"}),
    ("label_map", {"a": ""}),
    ("label_map", ["a"]),
    ("base", ""),
    ("base", None),
    ("adapter", ""),
    ("device", ""),
    ("dtype", "int8"),
    ("annotate", "tokens"),
    ("spans_key", ""),
    ("threshold", -0.1),
    ("threshold", 1.5),
    ("threshold", "high"),
    ("threshold", float("nan")),
    ("max_window_tokens", 0),
    ("max_window_tokens", -1),
    ("max_window_tokens", "many"),
    ("max_window_tokens", 1.5),
    ("batch_tokens", 0),
    ("batch_tokens", None),
    ("max_new_tokens", 0),
    ("save_io", "maybe"),
    ("save_io", None),
    ("no_such_field", 1),
]


@pytest.mark.parametrize("field,value", BAD_SETTINGS)
def test_a_wrong_setting_fails_at_once_and_is_named(field: str, value: Any):
    nlp = spacy.blank("en")
    with pytest.raises(ValueError) as caught:
        nlp.add_pipe("nerllm", config={field: value})
    assert field in str(caught.value)


def test_labels_are_renamed_for_spacy():
    nlp = spacy.blank("en")
    config = {"labels": ["person", "place"], "label_map": {"person": "PERSON"}}
    component = nlp.add_pipe("nerllm", config=config)
    assert component.labels == ("PERSON", "place")
    assert component.label_data == component.labels
    assert nlp.pipe_labels["nerllm"] == ["PERSON", "place"]


def test_open_types_have_no_labels_beforehand():
    assert spacy.blank("en").add_pipe("nerllm").labels == ()


# Annotation


def test_every_mention_is_found(make_pipe: MakePipe):
    nlp, _ = make_pipe({CURIE: CURIE_ANSWER})
    assert _ents(nlp(CURIE)) == [
        ("Marie Curie", "person"),
        ("Warsaw", "place"),
        ("Marie Curie", "person"),
        ("France", "place"),
    ]


def test_overlaps_stand_in_spans_and_the_longest_in_ents(make_pipe: MakePipe):
    nlp, _ = make_pipe({BANK: BANK_ANSWER})
    doc = nlp(BANK)
    assert _ents(doc) == [("Bank of England", "organisation"), ("London", "place")]
    assert _spans(doc) == [
        ("Bank of England", "organisation"),
        ("England", "place"),
        ("London", "place"),
    ]


def _check_scores(doc: Doc) -> None:
    spans = doc.spans["nerllm"]
    # Each character costs 0.01: quotes, surface, colon, space and type.
    costs = [len(f'"{span.text}": "{span.label_}"') / 100 for span in spans]
    assert len(spans) == 3
    for score, cost in zip(spans.attrs["scores"], costs, strict=True):
        assert score == pytest.approx(2.718281828**-cost)


def test_scores_are_joint_probabilities_and_survive_serialization(make_pipe: MakePipe):
    nlp, _ = make_pipe({BANK: Scripted(BANK_ANSWER, logprob=-0.01)})
    doc = nlp(BANK)
    _check_scores(doc)
    _check_scores(Doc(nlp.vocab).from_bytes(doc.to_bytes()))
    docs = DocBin(store_user_data=True, docs=[doc]).to_bytes()
    _check_scores(next(DocBin().from_bytes(docs).get_docs(nlp.vocab)))


@pytest.mark.parametrize(
    "annotate,ents,spans", [("ents", 2, None), ("spans", 0, 3), ("both", 2, 3)]
)
def test_annotate_says_what_is_set(
    make_pipe: MakePipe, annotate: str, ents: int, spans: int | None
):
    nlp, _ = make_pipe({BANK: BANK_ANSWER}, {"annotate": annotate, "spans_key": "key"})
    doc = nlp(BANK)
    assert len(doc.ents) == ents
    assert (len(doc.spans["key"]) if "key" in doc.spans else None) == spans


def test_spans_alone_leave_the_entities_unset(make_pipe: MakePipe):
    nlp, _ = make_pipe({BANK: BANK_ANSWER}, {"annotate": "spans"})
    assert not nlp(BANK).has_annotation("ENT_IOB")


def test_a_text_without_entities_is_annotated_as_such(make_pipe: MakePipe):
    nlp, _ = make_pipe({})
    doc = nlp("Nothing here.")
    assert doc.has_annotation("ENT_IOB")
    assert not doc.ents and not doc.spans["nerllm"]
    assert doc.spans["nerllm"].attrs["scores"] == []


def test_types_are_renamed(make_pipe: MakePipe):
    config = {"label_map": {"place": "LOC", "unused": "X"}}
    nlp, _ = make_pipe({BANK: BANK_ANSWER}, config)
    doc = nlp(BANK)
    assert _ents(doc) == [("Bank of England", "organisation"), ("London", "LOC")]
    assert ("England", "LOC") in _spans(doc)


def test_the_model_is_asked_for_the_types_by_their_own_names(make_pipe: MakePipe):
    config = {"labels": ["place"], "label_map": {"place": "LOC"}}
    nlp, generator = make_pipe({BANK: '{"London": "place"}'}, config)
    assert _ents(nlp(BANK)) == [("London", "LOC")]
    assert generator.types == ["place"]
    assert "Types: place\n" in generator.prompts[0].prefix


@pytest.mark.parametrize("threshold,kept", [(0.0, 3), (0.72, 2), (0.84, 1), (1.0, 0)])
def test_the_threshold_drops_improbable_spans(make_pipe: MakePipe, threshold: float, kept: int):
    script = Scripted(BANK_ANSWER, logprob=-0.01)
    nlp, _ = make_pipe({BANK: script}, {"threshold": threshold})
    doc = nlp(BANK)
    assert len(doc.spans["nerllm"]) == len(doc.spans["nerllm"].attrs["scores"]) == kept


def test_certain_spans_pass_the_highest_threshold(make_pipe: MakePipe):
    nlp, _ = make_pipe({BANK: BANK_ANSWER}, {"threshold": 1.0})
    assert len(nlp(BANK).spans["nerllm"]) == 3


def test_entities_that_a_doc_has_are_kept(make_pipe: MakePipe):
    nlp, _ = make_pipe({BANK: BANK_ANSWER})
    doc = nlp.make_doc(BANK)
    doc.ents = [Span(doc, 3, 4, label="MINE")]
    doc = nlp(doc)
    assert _ents(doc) == [("England", "MINE"), ("London", "place")]


def test_a_surface_inside_of_a_word_is_no_mention(make_pipe: MakePipe):
    nlp, generator = make_pipe({"Parisians love Paris": '{"Paris": "place"}'})
    doc = nlp("Parisians love Paris")
    assert [(ent.start, ent.end) for ent in doc.ents] == [(2, 3)]


def test_an_entity_across_a_line_break_is_found(make_pipe: MakePipe):
    text = "Marie\n  Curie came."
    nlp, _ = make_pipe({text: '{"Marie Curie": "person"}'})
    assert _ents(nlp(text)) == [("Marie\n  Curie", "person")]


@pytest.mark.parametrize("text", ["", " ", "\n\n", " \t \n", "\u00a0"])
def test_empty_and_blank_texts_are_not_prompted(make_pipe: MakePipe, text: str):
    nlp, generator = make_pipe({})
    doc = nlp(text)
    assert doc.text == text and not doc.ents and not doc.spans["nerllm"]
    assert generator.prompts == []


def test_prompts_and_answers_are_kept_on_demand(make_pipe: MakePipe):
    nlp, generator = make_pipe({BANK: BANK_ANSWER}, {"save_io": True})
    doc = nlp(BANK)
    prompt = "".join(generator.render(BANK, None))
    expected = {"nerllm": [{"start": 0, "prompt": prompt, "answer": BANK_ANSWER}]}
    assert doc.user_data["nerllm_io"] == expected
    assert SYSTEM_PROMPT in prompt
    assert Doc(nlp.vocab).from_bytes(doc.to_bytes()).user_data["nerllm_io"] == expected


def test_prompts_and_answers_are_not_kept_otherwise(make_pipe: MakePipe):
    nlp, _ = make_pipe({BANK: BANK_ANSWER})
    assert "nerllm_io" not in nlp(BANK).user_data


def test_two_of_them_in_one_pipeline_keep_apart(make_pipe: MakePipe, tiny_tokenizer: Any):
    config = {"save_io": True, "annotate": "spans"}
    nlp, _ = make_pipe({BANK: '{"London": "place"}'}, config)
    second = nlp.add_pipe("nerllm", name="second", config={**config, "spans_key": "second"})
    second._generator = ScriptedGenerator(tiny_tokenizer, {BANK: '{"England": "country"}'})
    doc = nlp(BANK)
    assert _spans(doc) == [("London", "place")]
    assert _spans(doc, "second") == [("England", "country")]
    assert set(doc.user_data["nerllm_io"]) == {"nerllm", "second"}


# Windows

SENTENCE = "Doctor Jane Doe met Marie Curie near Warsaw today."


def test_windows_cover_a_long_text_and_are_cut_at_sentences(make_pipe: MakePipe):
    text = " ".join([SENTENCE] * 20)
    nlp, generator = make_pipe({}, {"max_window_tokens": 100, "save_io": True})
    doc = nlp(text)
    windows = [prompt.text for prompt in generator.prompts]
    assert len(windows) > 3
    assert " ".join(windows) == text
    assert all(window.startswith("Doctor") and window.endswith(".") for window in windows)
    starts = [io["start"] for io in doc.user_data["nerllm_io"]["nerllm"]]
    assert [text[start:][: len(w)] for start, w in zip(starts, windows, strict=True)] == windows


def test_sentences_that_were_set_before_are_used(make_pipe: MakePipe):
    nlp, generator = make_pipe({}, {"max_window_tokens": 60})
    doc = nlp.make_doc("one two three four five six seven eight nine ten " * 3)
    for token in doc:
        token.is_sent_start = token.text == "three"
    nlp.get_pipe("nerllm")(doc)
    assert len(generator.prompts) > 1
    assert all(prompt.text.startswith("three") for prompt in generator.prompts[1:])


def test_setting_windows_sets_no_sentences(make_pipe: MakePipe):
    nlp, _ = make_pipe({}, {"max_window_tokens": 50})
    assert not nlp(" ".join([SENTENCE] * 5)).has_annotation("SENT_START")


@pytest.mark.parametrize("budget", [1, 7, 30, 64, 1000])
@pytest.mark.parametrize("text", [SENTENCE * 3, "  a  b\n\nc  " * 9, "語言。😀 naïve! " * 8])
def test_no_text_is_lost_between_windows(make_pipe: MakePipe, text: str, budget: int):
    nlp, generator = make_pipe({}, {"max_window_tokens": budget, "save_io": True})
    doc = nlp(text)
    covered = bytearray(len(text))
    for io, prompt in zip(doc.user_data["nerllm_io"]["nerllm"], generator.prompts, strict=True):
        end = io["start"] + len(prompt.text)
        assert text[io["start"] : end] == prompt.text
        assert not any(covered[io["start"] : end])
        covered[io["start"] : end] = b"x" * len(prompt.text)
    assert all(mark or char.isspace() for mark, char in zip(covered, text, strict=True))


def test_entities_of_later_windows_stand_where_they_are_in_the_doc(make_pipe: MakePipe):
    text = " ".join([SENTENCE] * 6)
    answer = '{"Marie Curie": "person"}'
    nlp, generator = make_pipe({SENTENCE: answer}, {"max_window_tokens": 40})
    doc = nlp(text)
    assert [prompt.text for prompt in generator.prompts] == [SENTENCE] * 6
    assert len(doc.ents) == text.count("Marie Curie") == 6


def test_a_window_over_the_context_is_left_out_with_a_warning(
    make_pipe: MakePipe, caplog: pytest.LogCaptureFixture
):
    text = f"{'y' * 500} {SENTENCE}"
    config = {"max_window_tokens": 60, "max_new_tokens": 10}
    answers = {SENTENCE: '{"Warsaw": "place"}'}
    nlp, generator = make_pipe(answers, config, context_length=300)
    doc = nlp(text)
    assert "and the base model has room for" in caplog.text
    assert _ents(doc) == [("Warsaw", "place")]


def test_no_prompt_and_answer_go_over_the_context(make_pipe: MakePipe, tiny_tokenizer: Any):
    length = 400
    config = {"max_window_tokens": 1000, "max_new_tokens": 100}
    nlp, generator = make_pipe({}, config, context_length=length)
    for words in range(1, 120, 4):
        nlp("word " * words)
    assert generator.prompts
    for prompt in generator.prompts:
        tokens = tiny_tokenizer("".join(prompt), add_special_tokens=False)["input_ids"]
        assert len(tokens) + 100 <= length


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
    assert _ents(nlp(BANK)) == [("London", "place")]
    assert _counts(nlp) == {"answers": 1, "unplaced": 2}


def test_a_broken_answer_is_salvaged_counted_and_logged(
    make_pipe: MakePipe, caplog: pytest.LogCaptureFixture
):
    nlp, _ = make_pipe({BANK: '{"London": "place", "England" "pl'})
    assert _ents(nlp(BANK)) == [("London", "place")]
    assert _counts(nlp) == {"answers": 1, "salvaged": 1}
    assert "was no strict map" in caplog.text and BANK in caplog.text


def test_two_types_of_a_surface_are_counted_and_logged(
    make_pipe: MakePipe, caplog: pytest.LogCaptureFixture
):
    nlp, _ = make_pipe({BANK: '{"London": "city", "London": "place"}'})
    assert _ents(nlp(BANK)) == [("London", "city")]
    assert _counts(nlp) == {"answers": 1, "conflicts": 1}
    assert "'London' two types: kept 'city', not 'place'" in caplog.text


def test_a_cut_answer_is_counted_and_logged(make_pipe: MakePipe, caplog: pytest.LogCaptureFixture):
    script = Scripted('{"London": "place", "Engl', complete=False)
    nlp, _ = make_pipe({BANK: script}, {"max_new_tokens": 77})
    assert _ents(nlp(BANK)) == [("London", "place")]
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


# Serialization


def _answers(nlp: Language) -> List[Any]:
    docs = nlp.pipe([CURIE, BANK])
    return [(doc.user_data["nerllm_io"], _spans(doc)) for doc in docs]


def test_the_tiny_model_tags(tiny_nlp: Language):
    assert tiny_nlp(CURIE).has_annotation("ENT_IOB")
    assert _counts(tiny_nlp)["answers"] == 1


def test_a_saved_pipeline_carries_its_adapter(
    tiny_nlp: Language, tiny_base: Path, tiny_adapter: Path, tmp_path: Path
):
    moved = tmp_path / "adapter"
    moved.mkdir()
    for file in tiny_adapter.iterdir():
        (moved / file.name).write_bytes(file.read_bytes())
    settings = tiny_nlp.get_pipe("nerllm").settings.model_dump()
    nlp = spacy.blank("en")
    nlp.add_pipe("nerllm", config={**settings, "adapter": str(moved)})
    nlp.to_disk(tmp_path / "saved")
    for file in moved.iterdir():
        file.unlink()
    moved.rmdir()
    loaded = spacy.load(tmp_path / "saved")
    assert _answers(loaded) == _answers(tiny_nlp)
    saved = {file.name for file in (tmp_path / "saved" / "nerllm" / "adapter").iterdir()}
    assert saved == {"adapter_config.json", "adapter_model.safetensors", "nerllm.json"}


def test_a_loaded_pipeline_can_be_saved_again(tiny_nlp: Language, tmp_path: Path):
    tiny_nlp.to_disk(tmp_path / "first")
    first = spacy.load(tmp_path / "first")
    _answers(first)
    first.to_disk(tmp_path / "second")
    assert _answers(spacy.load(tmp_path / "second")) == _answers(tiny_nlp)


def test_bytes_carry_settings_and_adapter(tiny_nlp: Language):
    fresh = spacy.blank("en")
    fresh.add_pipe("nerllm")
    fresh.from_bytes(tiny_nlp.to_bytes())
    assert fresh.get_pipe("nerllm").settings == tiny_nlp.get_pipe("nerllm").settings
    assert _answers(fresh) == _answers(tiny_nlp)


def test_pickle_carries_settings_and_adapter(tiny_nlp: Language):
    again = pickle.loads(pickle.dumps(tiny_nlp))
    assert again.get_pipe("nerllm").settings == tiny_nlp.get_pipe("nerllm").settings
    assert _answers(again) == _answers(tiny_nlp)


def test_a_component_pickles_alone_before_and_after_use(tiny_nlp: Language):
    component = tiny_nlp.get_pipe("nerllm")
    expected = component.predict([tiny_nlp.make_doc(BANK)])
    again = pickle.loads(pickle.dumps(component))
    assert again.predict([tiny_nlp.make_doc(BANK)]) == expected


@pytest.mark.parametrize("exclude,left", [("cfg", {"adapter"}), ("adapter", {"cfg"})])
def test_parts_can_be_left_out(tiny_nlp: Language, tmp_path: Path, exclude: str, left: set):
    component = tiny_nlp.get_pipe("nerllm")
    component.to_disk(tmp_path, exclude=[exclude])
    assert {path.name for path in tmp_path.iterdir()} == left
    assert set(srsly.msgpack_loads(component.to_bytes(exclude=[exclude]))) == left


def test_a_newer_format_is_refused(tiny_nlp: Language, tmp_path: Path):
    tiny_nlp.to_disk(tmp_path)
    config = srsly.read_json(tmp_path / "nerllm" / "cfg")
    srsly.write_json(tmp_path / "nerllm" / "cfg", {**config, "format": 99, "new": 1})
    with pytest.raises(ValueError, match="format 99"):
        spacy.load(tmp_path)


def test_a_newer_format_in_bytes_is_refused(tiny_nlp: Language):
    component = tiny_nlp.get_pipe("nerllm")
    parts = srsly.msgpack_loads(component.to_bytes())
    parts["cfg"]["format"] = 99
    with pytest.raises(ValueError, match="format 99"):
        component.from_bytes(srsly.msgpack_dumps(parts))


def test_a_pipeline_without_its_adapter_says_which(tiny_nlp: Language, tmp_path: Path):
    nlp = spacy.blank("en")
    nlp.add_pipe("nerllm", config={"base": "unused", "adapter": str(tmp_path)})
    with pytest.raises(FileNotFoundError, match="adapter_config.json"):
        nlp(BANK)


# spaCy's own loops


def _example(nlp: Language, text: str, ents: List[Tuple[int, int, str]]) -> Example:
    return Example.from_dict(nlp.make_doc(text), {"entities": ents})


def test_spacy_evaluates_it(make_pipe: MakePipe):
    nlp, _ = make_pipe({CURIE: '{"Marie Curie": "person", "Warsaw": "person"}'})
    gold = [(0, 11, "person"), (24, 30, "place"), (32, 43, "person"), (52, 58, "place")]
    scores = nlp.evaluate([_example(nlp, CURIE, gold)])
    assert scores["ents_p"] == pytest.approx(2 / 3)
    assert scores["ents_r"] == pytest.approx(2 / 4)
    assert set(scores["ents_per_type"]) == {"person", "place"}


def test_a_text_rightly_without_entities_spoils_no_score(make_pipe: MakePipe):
    nlp, _ = make_pipe({BANK: '{"London": "place"}'})
    examples = [_example(nlp, BANK, [(26, 32, "place")]), _example(nlp, "Nothing.", [])]
    assert nlp.evaluate(examples)["ents_f"] == 1.0


def test_initialize_does_nothing(make_pipe: MakePipe):
    nlp, _ = make_pipe({BANK: BANK_ANSWER})
    nlp.initialize()
    nlp.initialize(lambda: [_example(nlp, BANK, [(26, 32, "place")])])
    assert ("London", "place") in _ents(nlp(BANK))


def test_update_says_what_to_do(make_pipe: MakePipe):
    nlp, _ = make_pipe({})
    nlp.initialize()
    with pytest.raises(NotImplementedError, match="train_ner_lora_accelerate.py"):
        nlp.update([_example(nlp, BANK, [(26, 32, "place")])])


def _modules_after(statement: str) -> set:
    root = Path(__file__).parents[1]
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_importing_it_brings_no_model_library():
    more = _modules_after("import spacy, spacy_nerllm.component") - _modules_after("import spacy")
    heavy = {"torch", "transformers", "peft", "datasets", "accelerate", "huggingface_hub", "openai"}
    assert not heavy & more


def test_adding_it_brings_no_model_library():
    plain = "import spacy; nlp = spacy.blank('en')"
    added = f"import spacy_nerllm.component; {plain}; nlp.add_pipe('nerllm')"
    more = _modules_after(added) - _modules_after("import spacy, thinc.api")
    assert not {"torch", "transformers", "peft", "datasets"} & more
