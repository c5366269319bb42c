"""The network computes what transformers' own models do, in runs of any length side by side."""

import random
from typing import Any, Dict

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from spacy_nerllm.generation.network import Network, Run
from spacy_nerllm.generation.weights import check_family, fuse_weights, shape_of

SIZES = {
    "vocab_size": 100,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
}

KINDS: Dict[str, Dict[str, Any]] = {
    "llama": {"tie_word_embeddings": True},
    "llama with biases": {"attention_bias": True},
    "mistral": {"sliding_window": None, "head_dim": 16},
    "qwen2": {},
    "qwen3": {"head_dim": 16},
}


def _model(kind: str) -> Any:
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind.split()[0], **{**SIZES, **KINDS[kind]})
    return AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_transformers(kind: str):
    model = _model(kind)
    network = Network(fuse_weights(model), shape_of(model))
    chance = random.Random(0)
    rows = [chance.choices(range(100), k=length) for length in (40, 17, 64, 5)]
    store = network.new_store(4, 200)
    done = [0] * len(rows)
    with torch.inference_mode():
        expected = [model(torch.tensor([row])).logits[0] for row in rows]
        while any(at < len(row) for at, row in zip(done, rows, strict=True)):
            # A guess too many, which is taken back.
            runs = [
                Run([*row[at : at + 1 + chance.randrange(20)], 99], at)
                for at, row in zip(done, rows, strict=True)
            ]
            scores = network.scores(network.states(runs, store, 0))
            scores = scores.split([len(run.tokens) for run in runs])
            for index, (run, found) in enumerate(zip(runs, scores, strict=True)):
                new = len(run.tokens) - 1
                wanted = expected[index][done[index] : done[index] + new]
                torch.testing.assert_close(found[:new], wanted, atol=1e-4, rtol=1e-4)
                done[index] += new


def test_half_precision_loses_no_more_than_that_of_transformers():
    exact, half = _model("qwen3"), _model("qwen3").bfloat16()
    weights = {name: tensor.bfloat16() for name, tensor in fuse_weights(exact).items()}
    weights["frequencies"] = fuse_weights(exact)["frequencies"]
    network = Network(weights, shape_of(exact))
    tokens = list(range(3, 50))
    with torch.inference_mode():
        wanted = exact(torch.tensor([tokens])).logits[0]
        theirs = (half(torch.tensor([tokens])).logits[0] - wanted).norm()
        store = network.new_store(1, 64)
        ours = (network.scores(network.states([Run(tokens, 0)], store, 0)) - wanted).norm()
    assert ours < 1.2 * theirs


def test_rows_behind_others_and_copied_ones_go_on_as_they_were():
    model = _model("qwen3")
    network = Network(fuse_weights(model), shape_of(model))
    row = list(range(3, 50))
    store = network.new_store(4, 200)
    with torch.inference_mode():
        network.states([Run([1, 2], 0), Run([4], 0)], store, 0)
        network.states([Run(row[:30], 0)], store, 2)
        store.copy(2, 0, 30)
        scores = network.scores(network.states([Run(row[30:], 30)], store, 0))
        expected = model(torch.tensor([row])).logits[0, 30:]
    torch.testing.assert_close(scores, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("gpt2", {}), ("mistral", {"sliding_window": 64}), ("gemma", {})],
)
def test_what_cannot_be_run_is_named(kind: str, settings: Dict[str, Any]):
    with pytest.raises(ValueError, match=kind):
        check_family(AutoConfig.for_model(kind, **settings))
