"""The packaged adapter on the embedded base: what a user gets."""

from pathlib import Path

import pytest
import spacy

# Without a near tie, which 8 bits may decide either way by what was tagged before.
TEXT = "Ada Lovelace wrote to Charles Babbage in London. Ada Lovelace was ill in 1843."


@pytest.fixture(scope="module")
def nlp():
    pipeline = spacy.blank("en")
    pipeline.add_pipe("nerllm")
    return pipeline


def test_readme_example_finds_both_mentions(nlp):
    doc = nlp(TEXT)
    people = [ent.start_char for ent in doc.ents if ent.text == "Ada Lovelace"]
    assert people == [0, 49]
    assert {ent.label_ for ent in doc.ents if ent.text == "Ada Lovelace"} == {"person"}


def test_batched_answers_equal_single_ones():
    # In 8 bits what is rounded depends on the batch, and a near tie can go either way.
    nlp = spacy.blank("en")
    nlp.add_pipe("nerllm", config={"dtype": "float32"})
    texts = [TEXT, "Nothing happened.", "The River Niger rises in Guinea, far from Mali.", "a"]
    single = [[(e.text, e.label_) for e in nlp(text).ents] for text in texts]
    batched = [[(e.text, e.label_) for e in doc.ents] for doc in nlp.pipe(texts)]
    assert batched == single


def test_given_types_are_the_only_ones():
    pipeline = spacy.blank("en")
    pipeline.add_pipe("nerllm", config={"labels": ["city", "scientist"]})
    doc = pipeline(TEXT)
    assert doc.ents
    assert {ent.label_ for ent in doc.ents} <= {"city", "scientist"}


def test_saved_pipeline_gives_the_same_entities(nlp, tmp_path: Path):
    nlp.to_disk(tmp_path / "pipeline")
    again = spacy.load(tmp_path / "pipeline")
    assert [(e.text, e.label_) for e in again(TEXT).ents] == [
        (e.text, e.label_) for e in nlp(TEXT).ents
    ]


def test_a_pipeline_saved_by_the_first_release_still_loads():
    # Its adapter was left out, to be small: the packaged one serves.
    pipeline = spacy.load(Path(__file__).parent / "fixtures" / "pipeline_0.1")
    assert pipeline.get_pipe("nerllm").labels == ("PERSON", "city")
    assert {ent.label_ for ent in pipeline(TEXT).ents} <= {"PERSON", "city"}
    assert pipeline(TEXT).ents
