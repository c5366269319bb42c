"""A pipeline holds settings and adapter, on disk, in bytes and pickled."""

import pickle
from pathlib import Path
from typing import Any, List

import pytest
import spacy
import srsly
from conftest import BANK, CURIE, spans_of
from spacy.language import Language


def _answers(nlp: Language) -> List[Any]:
    docs = nlp.pipe([CURIE, BANK])
    return [(doc.user_data["nerllm_io"], spans_of(doc)) for doc in docs]


def test_the_tiny_model_tags(tiny_nlp: Language):
    assert tiny_nlp(CURIE).has_annotation("ENT_IOB")
    assert tiny_nlp.get_pipe("nerllm").counts["answers"] == 1


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


def test_settings_can_be_overridden_when_a_pipeline_is_loaded(tiny_nlp: Language, tmp_path: Path):
    tiny_nlp.to_disk(tmp_path)
    config = {"components": {"nerllm": {"labels": ["drug"], "threshold": 0.5}}}
    changed = spacy.load(tmp_path, config=config).get_pipe("nerllm")
    settings = tiny_nlp.get_pipe("nerllm").settings
    assert changed.settings == settings.model_copy(update={"labels": ["drug"], "threshold": 0.5})


def test_what_is_excluded_from_loading_stays_as_it_was(tiny_nlp: Language, tmp_path: Path):
    component = tiny_nlp.get_pipe("nerllm")
    component.to_disk(tmp_path)
    component.from_disk(tmp_path)
    component.settings = component.settings.model_copy(update={"adapter": "no/longer/there"})
    component.from_disk(tmp_path, exclude=["adapter"])
    component.from_bytes(component.to_bytes(), exclude=["adapter"])
    assert _answers(tiny_nlp)


def test_bytes_carry_settings_and_adapter(tiny_nlp: Language):
    fresh = type(tiny_nlp).from_config(tiny_nlp.config)
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
