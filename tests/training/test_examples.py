"""Batches and loss: the answer alone counts, and every record is trained on once."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List, Optional

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import AutoModelForCausalLM

from spacy_nerllm.corpus.records import Record
from spacy_nerllm.entity_map import render_prompt, write_answer
from spacy_nerllm.generation.encoding import encode_answer, encode_prompt
from spacy_nerllm.training.examples import (
    IGNORED,
    AnswerLoss,
    encode_records,
)
from spacy_nerllm.training.packing import PackingCollator


def _record(text: str, output: Dict[str, str], types: Optional[List[str]] = None) -> Record:
    return Record(input=text, output=output, types=types, lang="en", source="test")


RECORDS = [
    _record("Marie Curie", {"Marie Curie": "person"}),
    _record("She went from Warsaw to Paris.", {"Warsaw": "place", "Paris": "place"}, ["place"]),
    _record("Nothing.", {}),
    _record("Acme Ltd. is in 語 " * 5, {"Acme Ltd.": "organisation", "語": "place"}),
]


@pytest.fixture
def encoded(tiny_tokenizer: Any) -> List[Dict[str, Any]]:
    return encode_records(RECORDS, tiny_tokenizer, "Find names.", 1000, "train.jsonl")


@pytest.fixture
def model(tiny_base: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32).eval()


def test_a_record_is_encoded_as_it_is_tagged(tiny_tokenizer: Any, encoded: List[Dict[str, Any]]):
    for record, example in zip(RECORDS, encoded, strict=True):
        text, types = record["input"], record["types"]
        prompt = render_prompt(tiny_tokenizer, text, types, system_prompt="Find names.")
        answer = write_answer(record["output"].items())
        assert example["prompt_ids"] == encode_prompt(tiny_tokenizer, prompt)
        assert example["answer_ids"] == encode_answer(tiny_tokenizer, answer)
        assert example["length"] == len(example["prompt_ids"]) + len(example["answer_ids"])
        assert example["answer_ids"][-1] == tiny_tokenizer.eos_token_id


def test_records_that_are_too_long_are_counted_in_a_warning(
    tiny_tokenizer: Any, encoded: List[Dict[str, Any]], caplog: pytest.LogCaptureFixture
):
    lengths = [example["length"] for example in encoded]
    limit = sorted(lengths)[1]
    with caplog.at_level(logging.WARNING, "spacy_nerllm"):
        kept = encode_records(RECORDS, tiny_tokenizer, "Find names.", limit, "train.jsonl")
    assert [example["length"] for example in kept] == [n for n in lengths if n <= limit]
    assert f"2 of 4 records of train.jsonl are longer than {limit} tokens" in caplog.text


def test_nothing_is_logged_where_all_records_fit(
    encoded: List[Dict[str, Any]], caplog: pytest.LogCaptureFixture
):
    assert len(encoded) == len(RECORDS) and not caplog.records


def _loss(model: Any, batch: Dict[str, Any], total: Optional[torch.Tensor] = None) -> torch.Tensor:
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    outputs = model(**inputs)
    return AnswerLoss(model.get_output_embeddings())(outputs, batch["labels"], total)


def _plain_loss(model: Any, example: Dict[str, Any]) -> torch.Tensor:
    """Summed cross entropy of one answer, from the logits of all positions."""
    ids = torch.tensor([example["prompt_ids"] + example["answer_ids"]])
    logits = model(ids).logits[0]
    first = len(example["prompt_ids"])
    return cross_entropy(logits[first - 1 : -1], ids[0, first:], reduction="sum")


def _batch_of(examples: List[Dict[str, Any]]) -> Dict[str, Any]:
    return PackingCollator()([{"examples": examples, "length": 0}])


def test_the_loss_is_the_cross_entropy_of_the_answers(model: Any, encoded: List[Dict[str, Any]]):
    answered = sum(len(example["answer_ids"]) for example in encoded)
    plain = sum(_plain_loss(model, example) for example in encoded) / answered
    torch.testing.assert_close(_loss(model, _batch_of(encoded)), plain, atol=1e-5, rtol=1e-5)


def test_the_loss_of_a_step_is_divided_by_all_its_answers(
    model: Any, encoded: List[Dict[str, Any]]
):
    total = torch.tensor(sum(len(example["answer_ids"]) for example in encoded))
    halves = [_loss(model, _batch_of(part), total) for part in (encoded[:1], encoded[1:])]
    whole = _loss(model, _batch_of(encoded))
    torch.testing.assert_close(sum(halves), whole, atol=1e-5, rtol=1e-5)


def test_prompts_do_not_count():
    hidden = torch.randn(1, 6, 8, requires_grad=True)
    labels = torch.tensor([[IGNORED, IGNORED, IGNORED, 3, 4, IGNORED]])
    loss = AnswerLoss(torch.nn.Linear(8, 10))(SimpleNamespace(hidden_states=(hidden,)), labels)
    loss.backward()
    counted = hidden.grad.abs().sum(-1)[0] > 0
    # The position before each token of the answer predicts it.
    assert counted.tolist() == [False, False, True, True, False, False]


def test_a_head_in_bfloat16_takes_states_in_float32():
    # As on a GPU: accelerate turns a model's outputs into float32, but not its weights.
    head = torch.nn.Linear(8, 10).to(torch.bfloat16)
    labels = torch.tensor([[IGNORED, 3, 4]])
    loss = AnswerLoss(head)(SimpleNamespace(hidden_states=(torch.randn(1, 3, 8),)), labels)
    assert loss.dtype == torch.float32 and loss.isfinite()


def test_gradients_are_those_of_the_plain_loss(model: Any, encoded: List[Dict[str, Any]]):
    weight = model.model.layers[0].mlp.up_proj.weight
    _loss(model, _batch_of(encoded)).backward()
    ours, weight.grad = weight.grad, None
    answered = sum(len(example["answer_ids"]) for example in encoded)
    (sum(_plain_loss(model, example) for example in encoded) / answered).backward()
    torch.testing.assert_close(ours, weight.grad, atol=1e-5, rtol=1e-4)


def test_next_to_no_logits_are_computed(model: Any, encoded: List[Dict[str, Any]]):
    batch = _batch_of(encoded)
    batch.pop("labels")
    assert model(**batch).logits.shape[1] == 1
