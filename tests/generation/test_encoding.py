"""The short way to a tokenizer gives what the long way gives."""

import json
import shutil
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from spacy_nerllm.generation.encoding import load_tokenizer

CHAT = [{"role": "user", "content": "Ada Lovelace met Charles Babbage."}]


@pytest.mark.parametrize("kind", ["as it is", "PreTrainedTokenizerFast", "Qwen2Tokenizer", None])
def test_it_is_the_tokenizer_of_transformers(tiny_base: Path, tmp_path: Path, kind: str):
    folder = tmp_path / "base"
    shutil.copytree(tiny_base, folder)
    path = folder / "tokenizer_config.json"
    # With a length that srsly finds too large.
    config = json.loads(path.read_text("utf8"))
    if kind is None:
        del config["tokenizer_class"]
    elif kind != "as it is":
        config["tokenizer_class"] = kind
    path.write_text(json.dumps(config), "utf8")
    ours, theirs = load_tokenizer(folder), AutoTokenizer.from_pretrained(folder)
    assert ours.backend_tokenizer.to_str() == theirs.backend_tokenizer.to_str()
    assert (ours.eos_token_id, ours.pad_token_id) == (theirs.eos_token_id, theirs.pad_token_id)
    assert ours.apply_chat_template(CHAT, tokenize=False) == theirs.apply_chat_template(
        CHAT, tokenize=False
    )
