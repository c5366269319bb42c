"""What the component sets on docs, with answers known beforehand."""

from typing import Any

import pytest
from conftest import (
    BANK,
    BANK_ANSWER,
    CURIE,
    CURIE_ANSWER,
    MakePipe,
    Scripted,
    ScriptedGenerator,
    ents_of,
    spans_of,
)
from spacy.tokens import Doc, DocBin, Span

from spacy_nerllm.entity_map import SYSTEM_PROMPT


def test_every_mention_is_found(make_pipe: MakePipe):
    nlp, _ = make_pipe({CURIE: CURIE_ANSWER})
    assert ents_of(nlp(CURIE)) == [
        ("Marie Curie", "person"),
        ("Warsaw", "place"),
        ("Marie Curie", "person"),
        ("France", "place"),
    ]


def test_overlaps_stand_in_spans_and_the_longest_in_ents(make_pipe: MakePipe):
    nlp, _ = make_pipe({BANK: BANK_ANSWER})
    doc = nlp(BANK)
    assert ents_of(doc) == [("Bank of England", "organisation"), ("London", "place")]
    assert spans_of(doc) == [
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
    assert ents_of(doc) == [("Bank of England", "organisation"), ("London", "LOC")]
    assert ("England", "LOC") in spans_of(doc)


def test_the_model_is_asked_for_the_types_by_their_own_names(make_pipe: MakePipe):
    config = {"labels": ["place"], "label_map": {"place": "LOC"}}
    nlp, generator = make_pipe({BANK: '{"London": "place"}'}, config)
    assert ents_of(nlp(BANK)) == [("London", "LOC")]
    assert generator.types == ["place"]
    assert "Types: place\n" in generator.prompts[0].prefix


def test_types_can_be_described(make_pipe: MakePipe):
    config = {"labels": {"place": "a town or country", "firm": ""}, "label_map": {"place": "LOC"}}
    nlp, generator = make_pipe({BANK: '{"London": "place"}'}, config)
    assert ents_of(nlp(BANK)) == [("London", "LOC")]
    assert "Types: place (a town or country); firm\n" in generator.prompts[0].prefix
    assert nlp.get_pipe("nerllm").labels == ("LOC", "firm")


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
    assert ents_of(doc) == [("England", "MINE"), ("London", "place")]


def test_blocked_tokens_stay_without_entities(make_pipe: MakePipe):
    nlp, _ = make_pipe({BANK: BANK_ANSWER})
    doc = nlp.make_doc(BANK)
    doc.set_ents([], blocked=[doc[1:4]])
    assert ents_of(nlp(doc)) == [("London", "place")]
    assert [token.ent_iob_ for token in doc[1:4]] == ["B", "B", "B"]


def test_a_surface_inside_of_a_word_is_no_mention(make_pipe: MakePipe):
    nlp, generator = make_pipe({"Parisians love Paris": '{"Paris": "place"}'})
    doc = nlp("Parisians love Paris")
    assert [(ent.start, ent.end) for ent in doc.ents] == [(2, 3)]


def test_an_entity_across_a_line_break_is_found(make_pipe: MakePipe):
    text = "Marie\n  Curie came."
    nlp, _ = make_pipe({text: '{"Marie Curie": "person"}'})
    assert ents_of(nlp(text)) == [("Marie\n  Curie", "person")]


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
    assert spans_of(doc) == [("London", "place")]
    assert spans_of(doc, "second") == [("England", "country")]
    assert set(doc.user_data["nerllm_io"]) == {"nerllm", "second"}
