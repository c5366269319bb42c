"""Under the constraint every answer is a strict map of the text's own surfaces, from any model."""

import json
from typing import Any, List, Optional

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from spacy_nerllm.entity_map import write_answer
from spacy_nerllm.generation.constraint import Constraint, grammar_tokenizer
from spacy_nerllm.generation.encoding import encode_answer
from spacy_nerllm.generation.local import LocalGenerator
from spacy_nerllm.generation.protocol import Answer

TEXTS = [
    "Marie Curie was born in Warsaw.",
    'A "quoted" \\ text: {"a": "b"}',
    "Straße 語言 😀, naïve\n\nand more",
    "x",
    "Acme Ltd. opened an office in Berlin in 2019, says Jane Doe. " * 3,
]
LABELS = [
    None,
    ["person", "place of birth"],
    ["c++", 'say "a"', "\\"],
    {"person": "somebody", "place of birth": ""},
]


@pytest.fixture(scope="module")
def generator(tiny_base: Any, tiny_adapter: Any) -> LocalGenerator:
    return LocalGenerator.load(str(tiny_base), tiny_adapter, "cpu", "float32")


def _answer(
    generator: LocalGenerator, texts: List[str], types: Optional[List[str]], limit: int
) -> List[Answer]:
    prompts = [generator.render(text, types) for text in texts]
    return generator.generate(
        prompts, types, max_new_tokens=limit, batch_tokens=4000, constrain=True
    )


@pytest.mark.parametrize("types", LABELS)
@pytest.mark.parametrize("limit", [1, 7, 60])
def test_a_random_model_writes_strict_maps_of_the_text(
    generator: LocalGenerator, types: Optional[List[str]], limit: int
):
    for text, answer in zip(TEXTS, _answer(generator, TEXTS, types, limit), strict=True):
        pairs = json.loads(answer.text, object_pairs_hook=list)
        assert answer.text.startswith("{") and len(answer.ends) == len(answer.logprobs)
        for surface, type_ in pairs:
            assert surface and surface == surface.strip()
            assert surface in " ".join(text.split())
            assert types is None and 0 < len(type_) <= 40 or type_ in types


@pytest.mark.parametrize("types", LABELS)
def test_a_batch_answers_as_each_text_alone(generator: LocalGenerator, types: Optional[List[str]]):
    together = _answer(generator, TEXTS, types, 40)
    alone = [_answer(generator, [text], types, 40)[0] for text in TEXTS]
    assert [answer.text for answer in together] == [answer.text for answer in alone]


WORDS = st.lists(st.sampled_from(["Ada", "語", '"', "\\", "é", "😀", "a-b", "\n", "x"]), min_size=1)


@given(WORDS, st.data())
def test_what_an_adapter_is_trained_to_write_is_allowed(
    tiny_tokenizer: Any, words: List[str], data: st.DataObject
):
    text = " ".join(words)
    chosen = data.draw(st.lists(st.sampled_from(words), max_size=3, unique=True))
    pairs = [(word, "c++") for word in chosen if word.strip()]
    constraint = Constraint(grammar_tokenizer(tiny_tokenizer), text, ["c++", "place"])
    for token in encode_answer(tiny_tokenizer, write_answer(pairs)):
        assert token in constraint.allowed and constraint.allows(token)
        constraint.add(token, "")


def test_one_token_is_checked_as_among_all(tiny_tokenizer: Any):
    """Where the answer is forced, `allowed` names only one way to write it."""
    constraint = Constraint(grammar_tokenizer(tiny_tokenizer), "Ada left.", ["person"])
    for step in encode_answer(tiny_tokenizer, '{"Ada": "person"}'):
        assert all(constraint.allows(token) for token in constraint.allowed.tolist())
        constraint.add(step, "")
    constraint = Constraint(grammar_tokenizer(tiny_tokenizer), "Ada left.", ["person"])
    forbidden = tiny_tokenizer("person", add_special_tokens=False)["input_ids"][0]
    assert not constraint.allows(forbidden)
    assert not constraint.allows(tiny_tokenizer.eos_token_id)


def test_guesses_are_mended(tiny_tokenizer: Any):
    constraint = Constraint(grammar_tokenizer(tiny_tokenizer), "Ada left.", ["person"])
    good = encode_answer(tiny_tokenizer, '{"Ada": "person"}')
    assert constraint.mend(good) == good
    bad = encode_answer(tiny_tokenizer, '{"Bo": "person"}')
    assert constraint.mend(bad) == bad[: len(constraint.mend(bad))]
    assert len(constraint.mend(bad)) < len(bad)
    for token in tiny_tokenizer('{"Ada"', add_special_tokens=False)["input_ids"]:
        constraint.add(token, "")
    forced = constraint.mend([])
    assert tiny_tokenizer.decode(forced).startswith(":")


def test_scores_are_among_what_was_allowed(generator: LocalGenerator):
    for answer in _answer(generator, TEXTS, ["person"], 40):
        assert all(logprob <= 1e-6 for logprob in answer.logprobs)
        assert torch.isfinite(torch.tensor(answer.logprobs)).all()
