"""Packed records are trained on as if each were alone, and every one once."""

from pathlib import Path
from typing import Any, Dict, List

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM

from spacy_nerllm.training.examples import IGNORED
from spacy_nerllm.training.packing import BY_RECORD, PackingCollator, pack


def _examples(lengths: List[int]) -> List[Dict[str, Any]]:
    """Of so many tokens, the first of which tells them apart."""
    return [
        {"prompt_ids": [index], "answer_ids": [0] * (length - 1), "length": length}
        for index, length in enumerate(lengths)
    ]


lengths_of_all_kinds = st.lists(st.integers(2, 300), max_size=60)


@given(lengths=lengths_of_all_kinds, tokens=st.integers(0, 1000), seed=st.integers(0, 5))
def test_packs_hold_every_example_once(lengths: List[int], tokens: int, seed: int):
    packs = pack(_examples(lengths), tokens, seed)
    packed = [example["prompt_ids"][0] for one in packs for example in one["examples"]]
    assert sorted(packed) == list(range(len(lengths)))


@given(lengths=lengths_of_all_kinds, tokens=st.integers(1, 1000), seed=st.integers(0, 5))
def test_packs_keep_the_budget(lengths: List[int], tokens: int, seed: int):
    for one in pack(_examples(lengths), tokens, seed):
        assert one["length"] == sum(example["length"] for example in one["examples"])
        assert one["length"] <= tokens or len(one["examples"]) == 1


@given(lengths=st.lists(st.integers(2, 300), min_size=30, max_size=60), seed=st.integers(0, 5))
def test_packs_are_full(lengths: List[int], seed: int):
    """What was left out of a pack had no room in it."""
    packs = pack(_examples(lengths), 1000, seed)
    assert len(packs) <= 2 * sum(lengths) / 1000 + 1


@given(lengths=lengths_of_all_kinds, seed=st.integers(0, 5))
def test_without_a_budget_every_example_is_alone(lengths: List[int], seed: int):
    assert all(len(one["examples"]) == 1 for one in pack(_examples(lengths), 0, seed))


def test_packs_are_the_same_for_the_same_seed_alone():
    examples = _examples(list(range(10, 60)))
    first = pack(examples, 100, 0)
    assert first == pack(examples, 100, 0) != pack(examples, 100, 1)
    assert examples == _examples(list(range(10, 60)))


def test_a_batch_is_one_row_without_padding():
    examples = [
        {"prompt_ids": [5, 6], "answer_ids": [7], "length": 3},
        {"prompt_ids": [8], "answer_ids": [9, 1], "length": 3},
    ]
    packs = [{"examples": examples[:1], "length": 3}, {"examples": examples[1:], "length": 3}]
    batch = PackingCollator()(packs)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9, 1]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 0, 1, 2]]
    assert batch["labels"].tolist() == [[IGNORED, IGNORED, 7, IGNORED, 9, 1]]


@pytest.mark.parametrize("attention", [BY_RECORD, "sdpa", "eager"])
def test_packed_logits_and_gradients_are_those_of_single_records(
    tiny_base: Path, tiny_tokenizer: Any, attention: str
):
    model = AutoModelForCausalLM.from_pretrained(
        tiny_base, dtype=torch.float32, attn_implementation=attention
    ).eval()
    weight = model.model.layers[0].self_attn.k_proj.weight
    torch.manual_seed(0)
    lengths = [1, 40, 2, 17, 90, 5]
    rows = [torch.randint(len(tiny_tokenizer), (1, length)) for length in lengths]
    positions = torch.cat([torch.arange(length) for length in lengths])[None]

    packed = model(torch.cat(rows, 1), position_ids=positions, use_cache=False).logits
    packed.square().mean().backward()
    packed_gradient, weight.grad = weight.grad, None
    single = torch.cat(
        [
            model(row, position_ids=torch.arange(row.shape[1])[None], use_cache=False).logits
            for row in rows
        ],
        1,
    )
    single.square().mean().backward()

    torch.testing.assert_close(packed, single, atol=1e-5, rtol=0)
    torch.testing.assert_close(packed_gradient, weight.grad, atol=1e-5, rtol=1e-4)
    # And they do differ from those of one long record.
    one_record = model(torch.cat(rows, 1), use_cache=False, position_ids=None)
    assert attention == BY_RECORD or (one_record.logits - single).abs().max() > 1e-3
