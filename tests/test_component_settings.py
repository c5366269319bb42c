"""The factory takes its settings, and says which of them is wrong."""

import string
from pathlib import Path
from typing import Any, List

import pytest
import spacy


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
        "quantize": "auto",
        "annotate": "both",
        "spans_key": "nerllm",
        "threshold": 0.0,
        "max_window_tokens": 256,
        "batch_tokens": 12288,
        "max_new_tokens": 512,
        "constrain": False,
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
    ("labels", {"drug": "medicine given to patients", "dose": ""}),
    ("label_map", {"person": "PERSON"}),
    ("base", "some/base"),
    ("adapter", "some/adapter"),
    ("device", "cuda:1"),
    ("dtype", "bfloat16"),
    ("quantize", "int4"),
    ("annotate", "spans"),
    ("spans_key", "sc"),
    ("threshold", 0.5),
    ("threshold", 1),
    ("max_window_tokens", 100),
    ("batch_tokens", 1),
    ("max_new_tokens", 1),
    ("constrain", True),
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


# All of them are tested in test_settings: here, that spaCy hands them on.
BAD_SETTINGS = [
    ("labels", ["a", "a"]),
    ("labels", {"a": "one; two"}),
    ("labels", {}),
    ("labels", {"a: b": "a key that a config file cannot hold"}),
    ("label_map", ["a"]),
    ("base", None),
    ("device", "gpu"),
    ("dtype", "int8"),
    ("threshold", "high"),
    ("max_window_tokens", 1.5),
    ("save_io", "maybe"),
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


def test_two_types_of_one_name_are_one_label():
    config = {"labels": ["city", "lake"], "label_map": {"city": "GPE", "lake": "GPE"}}
    assert spacy.blank("en").add_pipe("nerllm", config=config).labels == ("GPE",)


def test_open_types_have_no_labels_beforehand():
    assert spacy.blank("en").add_pipe("nerllm").labels == ()
