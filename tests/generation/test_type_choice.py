"""Under given types, an answer can hold these types alone, and any of them."""

import copy
import os
import random
from typing import Any, Dict, Iterator, List, Optional, Sequence, Set, Tuple

import pytest
import torch
from conftest import Pen, train_tokenizer
from hypothesis import example, given
from hypothesis import strategies as st
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import bytes_to_unicode

from spacy_nerllm.entity_map import read_answer, write_answer
from spacy_nerllm.generation.encoding import encode_answer
from spacy_nerllm.generation.local import LocalGenerator
from spacy_nerllm.generation.network import Network
from spacy_nerllm.generation.type_choice import TypePosition, TypeTries
from spacy_nerllm.generation.weights import fuse_weights, shape_of

# What labels and surfaces are made of: what JSON, tokenizers and byte pieces trip over.
PIECES = ["a", "b", "date", " ", "+", "++", "#", "(", ")", '"', "'", "\\", ":", ",", "{", "}", "/"]
PIECES += ["é", "語", "😀", "İ", "-", "place", "place of birth", "\ufffd"]

HARD_LABELS = [
    ["a", "ab", "abc"],
    ["c", "c++", "c++ b"],
    ["#tag", "tag"],
    ["(x)", "x", ")x("],
    ['"', 'say "a"', "say"],
    ["\\", "a\\", '\\"'],
    ["語", "語言", "Straße", "😀"],
    [":", ",", "}", "{", "a: b"],
    ["date of birth", "date of death", "date"],
]


def _texts(least: int) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(PIECES), min_size=least, max_size=4).map("".join)


labels_of_all_kinds = st.lists(
    _texts(1).map(str.strip).filter(bool), min_size=1, max_size=5, unique=True
)
surfaces = st.lists(_texts(1), min_size=1, max_size=3, unique=True)


def _with_hard_labels(test: Any) -> Any:
    for labels in HARD_LABELS:
        test = example(labels=labels, surfaces=["a", "b:", '"c"'], chance=random.Random(0))(test)
    return test


def _train_dense_tokenizer() -> Any:
    """A tokenizer with tokens for runs of symbols, as large vocabularies have: '":"#', '++",'."""
    pairs = [(a, b) for labels in HARD_LABELS for a in labels for b in labels]
    answers = [write_answer([(a, b), (b, a)]) for a, b in pairs]
    texts = [*answers, *(text.replace(" ", "") for text in answers)]
    tokenizer = train_tokenizer(texts, 500, ["<|im_end|>"])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>")


@pytest.fixture(scope="module", params=["plain", "dense"])
def tokenizer(request: pytest.FixtureRequest, tiny_tokenizer: Any) -> Any:
    return tiny_tokenizer if request.param == "plain" else _train_dense_tokenizer()


def _bytes_by_id(tokenizer: Any) -> Dict[int, bytes]:
    byte_of = {char: byte for byte, char in bytes_to_unicode().items()}
    return {
        index: bytes(byte_of[char] for char in token)
        for token, index in tokenizer.get_vocab().items()
        if token not in tokenizer.all_special_tokens
    }


def _follow(
    tokenizer: Any, labels: Sequence[str], tokens: Sequence[int]
) -> Iterator[Tuple[int, Optional[Set[int]]]]:
    """Each token of an answer with those that were allowed in its place."""
    position = TypePosition(TypeTries(tokenizer, labels))
    pen = Pen(tokenizer, position)
    for token in tokens:
        yield token, position.allowed
        pen.write(token)


def _canonical_tokens(
    tokenizer: Any, labels: Sequence[str], surfaces: Sequence[str], chance: random.Random
) -> List[int]:
    answer = write_answer([(surface, chance.choice(labels)) for surface in surfaces])
    return encode_answer(tokenizer, answer)


@given(labels=labels_of_all_kinds, surfaces=surfaces, chance=st.randoms(use_true_random=False))
@_with_hard_labels
def test_every_canonical_answer_is_allowed(
    tokenizer: Any, labels: List[str], surfaces: List[str], chance: random.Random
):
    tokens = _canonical_tokens(tokenizer, labels, surfaces, chance)
    for token, allowed in _follow(tokenizer, labels, tokens):
        assert allowed is None or token in allowed


@given(labels=labels_of_all_kinds, surfaces=surfaces, chance=st.randoms(use_true_random=False))
@_with_hard_labels
def test_every_type_is_chosen_under_the_mask(
    tokenizer: Any, labels: List[str], surfaces: List[str], chance: random.Random
):
    tokens = _canonical_tokens(tokenizer, labels, surfaces, chance)
    steps = list(_follow(tokenizer, labels, tokens))
    runs = sum(
        allowed is not None and (index == 0 or steps[index - 1][1] is None)
        for index, (_, allowed) in enumerate(steps)
    )
    assert runs == len(surfaces)


@given(labels=labels_of_all_kinds, surfaces=surfaces, chance=st.randoms(use_true_random=False))
@_with_hard_labels
def test_no_token_is_allowed_that_leads_to_no_label(
    tokenizer: Any, labels: List[str], surfaces: List[str], chance: random.Random
):
    tokens = _canonical_tokens(tokenizer, labels, surfaces, chance)
    bytes_of = _bytes_by_id(tokenizer)
    # A type as it is written, as far as its closing quote.
    written = [write_answer([("", label)])[len('{"":') : -1].encode() for label in labels]
    so_far = b""
    before = b""
    for token, allowed in _follow(tokenizer, labels, tokens):
        if allowed is None:
            so_far = b""
        else:
            # A token that held the colon may have begun the type already.
            so_far = so_far or before.rpartition(b":")[2]
            for choice in allowed:
                candidate = so_far + bytes_of[choice]
                assert any(
                    label.startswith(candidate) or candidate.startswith(label) for label in written
                ), (so_far, bytes_of[choice])
            so_far += bytes_of.get(token, b"")
        before = bytes_of.get(token, b"")


def _wander(tokenizer: Any, labels: Sequence[str], chance: random.Random, steps: int) -> str:
    """Write an answer at random, mostly of what JSON is made of, within what is allowed."""
    tries = TypeTries(tokenizer, labels)
    position = TypePosition(tries)
    pen = Pen(tokenizer, position)
    bytes_of = {
        index: part
        for index, part in _bytes_by_id(tokenizer).items()
        if index not in tries.forbidden
    }
    structural = sorted(index for index, part in bytes_of.items() if set(part) & set(b'":,{}\\'))
    written = []
    for _ in range(steps):
        if position.allowed is not None:
            token = chance.choice(sorted(position.allowed))
        else:
            token = chance.choice(structural if chance.random() < 0.8 else sorted(bytes_of))
        written.append(token)
        pen.write(token)
    return tokenizer.decode(written, clean_up_tokenization_spaces=False)


@given(labels=labels_of_all_kinds, chance=st.randoms(use_true_random=False))
@example(labels=["#tag"], chance=random.Random(0))
@example(labels=["(x)", "c++"], chance=random.Random(1))
def test_whatever_is_written_has_given_types_alone(
    tokenizer: Any, labels: List[str], chance: random.Random
):
    for _ in range(5):
        answer = _wander(tokenizer, labels, chance, steps=60)
        types = {pair.type for pair in read_answer(answer).pairs}
        assert types <= set(labels), answer


def test_wandering_finds_types(tokenizer: Any):
    chance = random.Random(0)
    answers = [_wander(tokenizer, ["person", "place"], chance, 60) for _ in range(50)]
    found = {pair.type for answer in answers for pair in read_answer(answer).pairs}
    assert {"person", "place"} <= found


@pytest.mark.parametrize("label", ["tag", "#tag", "(x)", "+x"])
@pytest.mark.parametrize("colon", ['":"', '":', '" :'])
def test_a_type_is_a_given_one_however_the_colon_is_written(
    tiny_tokenizer: Any, label: str, colon: str
):
    position = TypePosition(TypeTries(tiny_tokenizer, [label]))
    pen = Pen(tiny_tokenizer, position)
    written = tiny_tokenizer('{"a' + colon, add_special_tokens=False)["input_ids"]
    for token in written:
        pen.write(token)
    for _ in range(20):
        allowed = position.allowed
        if allowed is None:
            break
        written.append(min(allowed))
        pen.write(written[-1])
    answer = tiny_tokenizer.decode(written, clean_up_tokenization_spaces=False)
    assert [pair.type for pair in read_answer(answer).pairs] == [label]


def test_a_label_that_reads_like_a_special_token_is_plain_text(tiny_tokenizer: Any):
    labels = ["<|im_end|>", "place"]
    tokens = encode_answer(tiny_tokenizer, write_answer([("a", "<|im_end|>")]))
    for token, allowed in _follow(tiny_tokenizer, labels, tokens):
        assert allowed is None or token in allowed
        assert allowed is None or tiny_tokenizer.eos_token_id not in allowed


def test_a_colon_inside_of_a_surface_begins_no_type(tiny_tokenizer: Any):
    tokens = encode_answer(tiny_tokenizer, '{"at 9:30: \\": now": "date"}')
    masked = [
        token for token, allowed in _follow(tiny_tokenizer, ["date"], tokens) if allowed is not None
    ]
    assert tiny_tokenizer.decode(masked).strip().rstrip("}") == '"date"'


@pytest.fixture(scope="module")
def babbler(tiny_base: Any) -> LocalGenerator:
    """A random model that writes quotes and colons more than anything else."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_base)
    model = copy.deepcopy(AutoModelForCausalLM.from_pretrained(tiny_base, dtype=torch.float32))
    bytes_of = _bytes_by_id(tokenizer)
    liked = [index for index, part in bytes_of.items() if set(part) <= set(b' ":')]
    with torch.no_grad():
        model.lm_head.weight[liked] *= 3
    return LocalGenerator(Network(fuse_weights(model), shape_of(model)), tokenizer, "Find names.")


def test_a_random_model_answers_with_given_types_alone(babbler: LocalGenerator):
    found: Set[str] = set()
    for labels in (["person", "place of birth"], ["#tag", "c++"], ["語", "(x)", "x"]):
        prompts = [babbler.render(f"Text number {n} of {labels}", labels) for n in range(12)]
        answers = babbler.generate(prompts, labels, max_new_tokens=60, batch_tokens=4000)
        types = {pair.type for answer in answers for pair in read_answer(answer.text).pairs}
        assert types <= set(labels)
        found |= types
    assert len(found) > 3


def test_the_mask_does_not_change_what_is_free(babbler: LocalGenerator):
    prompts = [babbler.render(f"Text number {n}", ["x"]) for n in range(8)]
    free = babbler.generate(prompts, None, max_new_tokens=30, batch_tokens=4000)
    masked = babbler.generate(prompts, ["x"], max_new_tokens=30, batch_tokens=4000)
    for open_answer, answer in zip(free, masked, strict=True):
        same = os.path.commonprefix([open_answer.text, answer.text])
        assert ":" in same or answer == open_answer
