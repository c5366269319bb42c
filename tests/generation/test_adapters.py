"""An adapter says what it was trained for, and is refused elsewhere."""

import json
from pathlib import Path

import pytest

from spacy_nerllm.entity_map import FORMAT_VERSION, SYSTEM_PROMPT
from spacy_nerllm.generation.adapters import AdapterInfo, read_info, write_info
from spacy_nerllm.generation.checkpoints import Base, resolve_base
from spacy_nerllm.generation.local import LocalGenerator

BASE = Base("this-base", Path("unused"), "a" * 64)


def _info(**fields: object) -> AdapterInfo:
    known = {"base_id": "this-base", "base_sha256": "a" * 64, "method": "dora"}
    return AdapterInfo(**{**known, **fields})


def test_what_is_written_is_read(tmp_path: Path):
    info = _info(system_prompt="Find „names“.", method="lora", extra={"temperature": 1.5})
    write_info(tmp_path, info)
    assert read_info(tmp_path, BASE) == info


def test_format_and_instruction_are_of_this_release_by_default():
    assert _info().format_version == FORMAT_VERSION
    assert _info().system_prompt == SYSTEM_PROMPT


def test_the_name_of_the_base_does_not_count_but_its_weights(tmp_path: Path):
    write_info(tmp_path, _info(base_id="the same elsewhere"))
    assert read_info(tmp_path, BASE).base_id == "the same elsewhere"


def test_another_base_is_refused_naming_both(tmp_path: Path):
    write_info(tmp_path, _info(base_id="that-base", base_sha256="b" * 64))
    with pytest.raises(ValueError) as caught:
        read_info(tmp_path, BASE)
    for part in ("that-base", "b" * 64, "this-base", "a" * 64, str(tmp_path)):
        assert part in str(caught.value)


def test_other_weights_of_the_same_name_are_said_to_be_such(tmp_path: Path):
    write_info(tmp_path, _info(base_sha256="b" * 64))
    with pytest.raises(ValueError, match="is damaged or of another revision"):
        read_info(tmp_path, BASE)


def test_another_format_is_refused_before_its_fields_are_read(tmp_path: Path):
    stored = {"format_version": FORMAT_VERSION + 1, "a field of then": 1}
    (tmp_path / "nerllm.json").write_text(json.dumps(stored))
    with pytest.raises(ValueError, match=f"version {FORMAT_VERSION + 1}.*{FORMAT_VERSION}"):
        read_info(tmp_path, BASE)


def test_an_adapter_of_another_project_is_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="nerllm.json"):
        read_info(tmp_path, BASE)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match="method"):
        _info(method="prefix")


def test_loading_checks_the_base(other_base: Path, tiny_adapter: Path):
    with pytest.raises(ValueError) as caught:
        LocalGenerator.load(str(other_base), tiny_adapter, "cpu", "float32")
    assert str(other_base) in str(caught.value) and "tiny-base" in str(caught.value)


def test_the_tiny_adapter_is_of_the_tiny_base(tiny_base: Path, tiny_adapter: Path):
    assert read_info(tiny_adapter, resolve_base(str(tiny_base))).method == "dora"
