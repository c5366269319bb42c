"""What a pass shows behind a guess that did not hold is guessed next."""

from typing import Any, List

import pytest

from spacy_nerllm.generation.drafts import Drafter
from spacy_nerllm.generation.encoding import load_tokenizer
from spacy_nerllm.generation.hints import Hints
from spacy_nerllm.generation.types_seen import Mention, TypeMemory

TYPES = ["city", "person", "place"]


def test_the_type_of_the_next_name():
    hints = Hints()
    hints.learn('{"Ada": "city", "Marie \\"M\\" Curie": "', "pers")
    assert hints.type_of('Marie "M" Curie') == "pers"
    assert hints.type_of("Ada") == ""


def test_how_the_next_name_begins():
    hints = Hints()
    hints.learn('"Ada": "city", "', "War")
    assert hints.following("Ada") == "War"
    assert hints.following("War") is None


def test_where_the_map_ends():
    hints = Hints()
    hints.learn('{"Ada": "city", "Warsaw": "pla', '"}')
    assert hints.following("Warsaw") == ""


@pytest.mark.parametrize("written", ["", "{", '{"', '{"Ada', '{"Ada": "', "no map at all", '"}'])
def test_what_says_nothing_is_passed_over(written: str):
    hints = Hints()
    hints.learn(written, '"}')
    assert hints.following("Ada") is None


@pytest.fixture(scope="module")
def tokenizer(tiny_base: Any) -> Any:
    return load_tokenizer(tiny_base)


def _guess(drafter: Drafter, tokenizer: Any) -> str:
    return tokenizer.decode(drafter.propose(64))


def _encode(tokenizer: Any, text: str) -> List[int]:
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def test_a_hint_counts_more_than_what_was_seen(tokenizer: Any):
    memory = TypeMemory()
    for name in ("Ada", "Grace"):
        memory.add(Mention(name, "", " met", ""), "person")
    drafter = Drafter(tokenizer, "Marie met Pierre.", TYPES, memory)
    assert '"Pierre": "person"' in _guess(drafter, tokenizer)
    wrong = _encode(tokenizer, '{"Marie": "city", "Pierre": "')
    following = [*wrong[1:], _encode(tokenizer, "place")[0]]
    held = len(_encode(tokenizer, '{"Marie": "'))
    drafter.learn(wrong, held, following)
    assert '"Pierre": "place"' in _guess(drafter, tokenizer)


def test_a_type_that_was_never_seen_does_not_win_by_what_is_unknown_of_it():
    memory = TypeMemory()
    for number in range(20):
        memory.add(Mention(f"Ada {number}", "with ", " again", ""), "person")
    # Of another list of types, with what those persons never had.
    memory.add(Mention("Warsaw", "in ", ".", "country"), "city")
    assert memory.guess(Mention("Zoë", "in ", ".", ""), ["person", "place"], "") == "person"
