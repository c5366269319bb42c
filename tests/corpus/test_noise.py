"""Noise carries every annotation through exactly."""

import random
from pathlib import Path
from typing import List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_nerllm.corpus.markup import Passage, read_folder
from spacy_nerllm.corpus.noise import KINDS, Edit, Entity, add_noise, apply_edits, noisy_twins

ASSETS = Path(__file__).parents[2] / "assets"

PIECES = st.lists(
    st.tuples(st.text(max_size=8), st.text(min_size=1, max_size=8).map(str.strip).filter(bool)),
    max_size=6,
)


def _text_of(pieces: List[Tuple[str, str]]) -> Tuple[str, List[Entity]]:
    text, entities = "", []
    for between, name in pieces:
        text += between
        entities.append((len(text), len(text) + len(name), f"type {len(entities)}"))
        text += name
    return text, entities


@given(PIECES, st.integers(0, 10_000))
def test_no_entity_is_lost(pieces: List[Tuple[str, str]], seed: int):
    text, entities = _text_of(pieces)
    noisy, moved = add_noise(text, entities, random.Random(seed))
    assert [type_ for *_, type_ in moved] == [type_ for *_, type_ in entities]
    last = 0
    for start, end, _ in moved:
        assert last <= start < end <= len(noisy)
        assert noisy[start:end] == noisy[start:end].strip()
        last = end


@pytest.mark.parametrize("kind", KINDS)
@given(pieces=PIECES, seed=st.integers(0, 10_000))
def test_what_is_in_and_between_entities_is_spoiled_by_itself(
    kind: str, pieces: List[Tuple[str, str]], seed: int
):
    text, entities = _text_of(pieces)
    edits = list(KINDS[kind](text, random.Random(seed)))
    noisy, moved = apply_edits(text, entities, edits)
    # Parts of the text between borders, spoiled one by one, are the whole.
    borders = [0, *(place for entity in entities for place in entity[:2]), len(text)]
    new_borders = [0, *(place for entity in moved for place in entity[:2]), len(noisy)]
    beside = {place for entity in entities for place in entity[:2]}
    for index, (begin, end) in enumerate(zip(borders, borders[1:], strict=False)):
        inside = index % 2 == 1
        part, marked = text[begin:end], [(0, end - begin, "x")] if inside else []
        own = [
            Edit(edit.start - begin, edit.end - begin, edit.text)
            for edit in edits
            if begin <= edit.start
            and edit.end <= end
            # What parts it from an entity stays.
            and (inside or edit.text or not {edit.start, edit.end} & beside)
        ]
        assert (
            apply_edits(part, marked, own)[0] == noisy[new_borders[index] : new_borders[index + 1]]
        )


@pytest.mark.parametrize("kind", KINDS)
def test_edits_are_sorted_and_apart(kind: str):
    text = "Über Zürich, Malmö und Señor O'Neill schrieb 1850 Mr. William Smith Bill 10 mal" * 20
    for seed in range(50):
        last = 0
        for edit in KINDS[kind](text, random.Random(seed)):
            assert last <= edit.start < edit.end <= len(text)
            last = edit.end


def test_each_kind_changes_a_text():
    text = "Über Zürich, Malmö und Señor O'Neill schrieb 1850 Mr. William Smith Bill 10 mal. " * 5
    for kind, make in KINDS.items():
        assert apply_edits(text, [], make(text, random.Random(1)))[0] != text, kind


def test_a_passage_of_our_own_is_never_left_as_it_is():
    passages = list(read_folder(ASSETS / "open_types"))[::20]
    rng = random.Random(0)
    for passage, twin in zip(passages, noisy_twins(passages, rng), strict=True):
        assert twin.text != passage.text and twin.id == passage.id
        assert [type_ for *_, type_ in twin.entities] == [type_ for *_, type_ in passage.entities]
        # No more entities have lost their place at the border of a token than had none before.
        assert _glued(twin) <= _glued(passage)


def _glued(passage: Passage) -> int:
    """How many entities have a letter before or behind them."""
    text = f" {passage.text} "
    return sum(
        text[start].isalnum() or text[end + 1].isalnum() for start, end, _ in passage.entities
    )


def test_the_same_seed_gives_the_same_noise():
    text, entities = "Marie Curie met Niels Bohr.", [(0, 11, "person"), (16, 26, "person")]
    assert add_noise(text, entities, random.Random(7)) == add_noise(
        text, entities, random.Random(7)
    )


def test_an_edit_across_a_border_is_left_out():
    text, entities = "a Bob c", [(2, 5, "person")]
    assert apply_edits(text, entities, [Edit(1, 3, "x")]) == (text, entities)
    assert apply_edits(text, entities, [Edit(4, 5, "")]) == (text, entities)
    # What parts an entity from its neighbour stays.
    assert apply_edits(text, entities, [Edit(1, 2, "")]) == (text, entities)
    assert apply_edits(text, entities, [Edit(5, 6, "")]) == (text, entities)
    assert apply_edits(text, entities, [Edit(3, 4, ""), Edit(5, 6, "  ")]) == (
        "a Bb  c",
        [(2, 4, "person")],
    )
