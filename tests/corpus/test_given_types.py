"""Which types a prompt names, and what the entities are then called."""

import random
from pathlib import Path

import pytest
import srsly
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_nerllm.corpus.given_types import ask_among, describe, rename
from spacy_nerllm.corpus.markup import Passage, read_folder
from spacy_nerllm.corpus.type_names import TypeNames, read_type_names, with_kinds
from spacy_nerllm.entity_map import check_types

ASSETS = Path(__file__).parents[2] / "assets"
SEEDS = st.integers(0, 2**32)

BROADER = {
    "city": ["location", "place"],
    "river": ["location", "place"],
    "location": ["place"],
    "film": ["creative work"],
    "drug": ["product"],
}
SYNONYMS = {
    "person": ["human", "individual"],
    "author": ["human", "writer"],
    "city": ["town", "place"],
    "place": ["site"],
    "location": ["site"],
}
NAMES = TypeNames(BROADER, SYNONYMS)
PLAIN = TypeNames(BROADER, {})
INVENTORY = sorted({*BROADER, *(wide for all_ in BROADER.values() for wide in all_), "person"})
FINER = {"city": "capital", "person": "author"}


class Always(random.Random):
    """A source of chance that always takes what is improbable."""

    def random(self):
        return 0.0


def ancestors(type_, names):
    """All types that hold a type, however far up."""
    found = set(names.broader.get(type_, ()))
    return found.union(*(ancestors(wide, names) for wide in found))


def types_of(entity, names, finer):
    """All types that an entity is of."""
    start, end, type_ = entity
    own = {type_, finer.get((start, end), type_)}
    return own.union(*(ancestors(name, names) for name in own))


@st.composite
def texts(draw):
    """Entities of a text, and more specific types for some of them."""
    types = draw(st.lists(st.sampled_from(INVENTORY), max_size=8))
    entities = [(index * 10, index * 10 + 5, type_) for index, type_ in enumerate(types)]
    finer = {
        (start, end): FINER[type_]
        for start, end, type_ in entities
        if type_ in FINER and draw(st.booleans())
    }
    return entities, finer


def ask(case, seed, names=PLAIN, inventory=INVENTORY):
    entities, finer = case
    return ask_among(entities, inventory, names, finer, random.Random(seed))


many = settings(deadline=None, max_examples=200)


@many
@given(texts(), SEEDS)
def test_every_type_of_the_answer_was_asked_for(case, seed):
    asked, found = ask(case, seed, NAMES)
    assert {type_ for *_, type_ in found} <= set(asked)


@many
@given(texts(), SEEDS)
def test_the_types_asked_for_can_stand_in_a_prompt(case, seed):
    asked, _ = ask(case, seed, NAMES)
    check_types(asked)
    assert len(asked) <= 25


@many
@given(texts(), SEEDS)
def test_entities_keep_their_offsets_and_order(case, seed):
    _, found = ask(case, seed, NAMES)
    offsets = [entity[:2] for entity in case[0]]
    kept = [entity[:2] for entity in found]
    assert kept == [offset for offset in offsets if offset in set(kept)]


@many
@given(texts(), SEEDS)
def test_an_entity_gets_the_most_specific_type_asked_for(case, seed):
    asked, found = ask(case, seed)
    called = {entity[:2]: entity[2] for entity in found}
    for entity in case[0]:
        own = [case[1].get(entity[:2]), entity[2], *BROADER.get(entity[2], ())]
        fitting = [name for name in own if name in asked]
        assert called.get(entity[:2]) == (fitting[0] if fitting else None)


@many
@given(texts(), SEEDS)
def test_a_type_without_entities_is_neither_theirs_nor_broader(case, seed):
    asked, found = ask(case, seed)
    unused = set(asked) - {type_ for *_, type_ in found}
    for entity in case[0]:
        called = next((type_ for *at, type_ in found if tuple(at) == entity[:2]), None)
        # A broader type may stay unused where a more specific one was asked for besides.
        if called is None:
            assert unused.isdisjoint(types_of(entity, PLAIN, case[1]))


@many
@given(texts(), SEEDS)
def test_a_seed_gives_the_same_again(case, seed):
    assert ask(case, seed, NAMES) == ask(case, seed, NAMES)


def test_seeds_ask_in_different_ways():
    case = [(0, 5, "city"), (10, 15, "film")], {}
    calls = {tuple(type_ for *_, type_ in ask(case, seed)[1]) for seed in range(300)}
    cities = {call[0] for call in calls if len(call) == 2}
    assert cities == {"city", "location", "place"}
    assert () in calls


def test_a_finer_type_is_asked_for_and_given():
    case = [(0, 5, "city")], {(0, 5): "capital"}
    answers = [ask(case, seed)[1] for seed in range(100)]
    called = {type_ for found in answers for *_, type_ in found}
    assert called == {"capital", "city", "location", "place"}


def test_an_entity_without_finer_type_is_not_called_by_that_of_another():
    case = [(0, 5, "city"), (10, 15, "city")], {(0, 5): "capital"}
    for seed in range(100):
        assert (10, 15, "capital") not in ask(case, seed)[1]


def test_a_text_without_entities_is_asked_for_negatives():
    for seed in range(50):
        asked, found = ask(([], {}), seed)
        assert found == []
        assert 1 <= len(asked) <= 12


def test_types_over_the_limit_are_left_out_of_prompt_and_answer():
    case = [(index, index + 1, f"type {index}") for index in range(60)], {}
    asked, found = ask(case, 1)
    assert len(asked) == 25
    assert {type_ for *_, type_ in found} == set(asked)


# Synonyms


@many
@given(texts(), SEEDS)
def test_synonyms_rename_prompt_and_answer_alike(case, seed):
    plain_asked, plain_found = ask(case, seed)
    asked, found = rename(plain_asked, plain_found, NAMES, random.Random(seed))
    assert len(asked) == len(plain_asked)
    renamed = dict(zip(plain_asked, asked, strict=True))
    assert found == [(start, end, renamed[type_]) for start, end, type_ in plain_found]
    for name, other in renamed.items():
        assert other == name or other in SYNONYMS[name]


@many
@given(st.lists(st.sampled_from([*INVENTORY, "author"]), unique=True), SEEDS)
def test_synonyms_never_collide(asked, seed):
    renamed, _ = rename(asked, [], NAMES, Always(seed))
    assert len(set(renamed)) == len(asked)


def test_a_synonym_that_is_asked_for_itself_is_not_taken():
    for seed in range(20):
        assert rename(["city", "place"], [], NAMES, Always(seed))[0] == ["town", "site"]


def test_types_without_synonyms_keep_their_names():
    entities = [(0, 4, "river")]
    assert rename(["river"], entities, NAMES, Always(0)) == (["river"], entities)


def test_some_types_are_renamed_and_most_are_not():
    names = [rename(["person"], [], NAMES, random.Random(seed))[0] for seed in range(500)]
    assert 350 < names.count(["person"]) < 475


# The table that is shipped


@pytest.fixture(scope="module")
def table():
    return read_type_names(ASSETS / "type_names.json")


@pytest.fixture(scope="module")
def shipped(table):
    """For each entity of the shipped passages: all its types, those asked for, the one given."""
    special = srsly.read_json(ASSETS / "finer_types.json")
    passages = list(read_folder(ASSETS / "open_types"))
    inventory = {type_ for passage in passages for *_, type_ in passage.entities}
    inventory = sorted(inventory.union(*table.broader.values()))
    plain = table._replace(synonyms={})
    rng = random.Random(0)
    cases = []
    for passage in passages:
        finer = {
            (start, end): special[passage.id][passage.text[start:end]]
            for start, end, _ in passage.entities
            if passage.text[start:end] in special.get(passage.id, ())
        }
        asked, found = ask_among(passage.entities, inventory, plain, finer, rng)
        called = {entity[:2]: entity[2] for entity in found}
        cases += [
            (types_of(entity, plain, finer), set(asked), called.get(entity[:2]))
            for entity in passage.entities
        ]
    return cases


def test_the_table_is_seen_from_the_narrower_types(tmp_path):
    path = tmp_path / "names.json"
    srsly.write_json(
        path,
        {"broader": {"place": ["city", "lake"], "group": ["band"]}, "synonyms": {"city": ["town"]}},
    )
    names = read_type_names(path)
    assert names.broader == {"city": ["place"], "lake": ["place"], "band": ["group"]}
    assert names.synonyms == {"city": ["town"]}


def test_no_shipped_type_holds_itself(table):
    assert not [name for name in table.broader if name in ancestors(name, table)]


def test_no_shipped_synonym_repeats_its_type_or_cannot_be_asked_for(table):
    for name, others in table.synonyms.items():
        check_types([name, *others])


def test_no_shipped_synonym_is_a_type_of_its_own(table):
    types = {*table.broader, *table.synonyms}.union(*table.broader.values())
    assert types.isdisjoint(other for others in table.synonyms.values() for other in others)


def test_shipped_passages_leave_out_no_entity_of_a_type_asked_for(shipped):
    missed = {
        (*sorted(types), "asked for", *sorted(types & asked))
        for types, asked, called in shipped
        if called is None and types & asked
    }
    assert missed == set()


def test_shipped_entities_get_the_most_specific_type_asked_for(table, shipped):
    wrong = {
        (called, name)
        for types, asked, called in shipped
        for name in types & asked
        if called in ancestors(name, table)
    }
    assert wrong == set()


def test_no_kind_is_asked_for_in_vain_of_an_entity_whose_kind_is_unknown():
    passages = [Passage("a", "news", "en", "Ada, Bo", [(0, 3, "person"), (5, 7, "person")])]
    finer = {"a": {"Ada": "poet", "Bo": "judge"}}
    names = with_kinds(TypeNames({"poet": ["writer"]}, {}), passages, finer)
    assert names.kinds == {"person": {"poet", "writer", "judge"}}
    inventory = ["poet", "writer", "judge", "river"]
    for seed in range(200):
        rng = random.Random(seed)
        asked, _ = ask_among([(0, 3, "person")], inventory, names, {}, rng)
        assert {*asked} <= {"person", "river"}
    known = {(0, 3): "poet"}
    asks = [
        ask_among([(0, 3, "person")], inventory, names, known, random.Random(seed))[0]
        for seed in range(200)
    ]
    assert any("judge" in asked for asked in asks)


def test_what_holds_a_finer_type_is_between_it_and_the_plain_one():
    broader = {"poet": ["writer", "artist"], "writer": ["artist"], "person": ["being"]}
    names = TypeNames({**broader, "novel": ["work"], "book": ["work"]}, {})
    entities = [(0, 3, "person"), (4, 9, "book")]
    finer = {(0, 3): "poet", (4, 9): "novel"}
    for seed in range(300):
        asked, found = ask_among(entities, ["river"], names, finer, random.Random(seed))
        chains = (["poet", "writer", "artist", "person", "being"], ["novel", "book", "work"])
        called = {entity[:2]: entity[2] for entity in found}
        for entity, chain in zip(entities, chains, strict=True):
            fitting = [name for name in chain if name in asked]
            assert called.get(entity[:2]) == (fitting[0] if fitting else None)


def test_types_are_described_sometimes_and_synonyms_as_what_they_stand_for():
    names = TypeNames({}, {"city": ["town"]}, {"city": ["a large place", "where many live"]})
    asked = ["town", "person"]
    described = [describe(asked, names, random.Random(seed)) for seed in range(500)]
    found = [types for types in described if isinstance(types, dict)]
    assert 20 < len(found) < 90
    assert {types["town"] for types in found} == set(names.descriptions["city"])
    assert all(list(types) == asked and types["person"] == "" for types in found)
    assert all(types == asked for types in described if isinstance(types, list))
