"""From passages and corpora to records."""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
import srsly
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_nerllm.corpus.assemble import (
    corpus_records,
    given_records,
    make_record,
    open_records,
    split_passages,
)
from spacy_nerllm.corpus.markup import Passage, parse_markup, read_folder
from spacy_nerllm.corpus.records import read_records, write_records
from spacy_nerllm.corpus.type_names import TypeNames

ASSETS = Path(__file__).parents[2] / "assets"
PLAIN = TypeNames({"city": ["place"]}, {})
NAMES = TypeNames({"city": ["place"]}, {"person": ["human"], "city": ["town"]})


def passage(marked, id_="a"):
    return Passage(id_, "news", "en", *parse_markup(marked))


def numbered(count):
    marked = "[[Ada{0}|person]] of [[Rome{0}|city]] made [[Film{0}|film]]."
    return [passage(marked.format(index), f"id-{index}") for index in range(count)]


# Passages


def test_a_record_maps_surfaces_to_types_in_the_order_of_the_text():
    record = make_record("Ada, Rome", [(5, 9, "city"), (0, 3, "person")], ("city",), "en", "s")
    assert record == {
        "input": "Ada, Rome",
        "output": {"Ada": "person", "Rome": "city"},
        "types": ["city"],
        "lang": "en",
        "source": "s",
    }
    assert list(record["output"]) == ["Ada", "Rome"]


def test_of_a_surface_with_two_types_the_first_counts():
    record = make_record("Jordan Jordan", [(0, 6, "person"), (7, 13, "country")], None, "en", "")
    assert record["output"] == {"Jordan": "person"}


def test_open_records_ask_for_everything_without_types():
    passages = [passage("[[Ada|person]] met [[Ada|person]]."), passage("Nobody.")]
    records = list(open_records(passages))
    assert [record["output"] for record in records] == [{"Ada": "person"}, {}]
    assert [record["types"] for record in records] == [None, None]
    assert records[0]["source"] == "open_types/news"


def test_given_records_are_so_many_of_each_passage():
    passages = numbered(5)
    records = list(given_records(passages, PLAIN, {}, 3, random.Random(0)))
    assert [record["input"] for record in records] == [
        item.text for item in passages for _ in range(3)
    ]


def test_given_records_answer_with_types_asked_for():
    for record in given_records(numbered(40), NAMES, {}, 3, random.Random(0)):
        assert set(record["output"].values()) <= set(record["types"])


def test_given_records_use_finer_types_of_their_own_passage_only():
    finer = {"id-0": {"Ada0": "poet", "Ada1": "poet"}}
    records = list(given_records(numbered(4), PLAIN, finer, 40, random.Random(0)))
    poets = {
        surface
        for record in records
        for surface, type_ in record["output"].items()
        if type_ == "poet"
    }
    assert poets == {"Ada0"}


def test_negatives_are_types_of_three_passages_or_broader_ones():
    rare = [passage("[[Nile|river]]", "b"), passage("[[Oder|river]]", "c")]
    empty = passage("Nobody.", "d")
    records = list(given_records([*numbered(3), *rare, empty], PLAIN, {}, 30, random.Random(0)))
    negatives = [record["types"] for record in records if record["input"] == "Nobody."]
    assert set().union(*negatives) == {"person", "city", "film", "place"}


def test_a_seed_gives_the_same_given_records_again():
    first, again, other = (
        list(given_records(numbered(9), NAMES, {}, 2, random.Random(seed))) for seed in (1, 1, 2)
    )
    assert first == again != other


HASHED = """
import random
from spacy_nerllm.corpus.assemble import given_records
from spacy_nerllm.corpus.type_names import TypeNames
from spacy_nerllm.corpus.markup import Passage
types = ["person", "city", "film", "river", "law", "song"]
passages = [Passage(str(i), "d", "en", "a b c d e f", [(2 * j, 2 * j + 1, type_)
            for j, type_ in enumerate(types[i:])]) for i in range(6)]
names = TypeNames({"city": ["place", "location"], "river": ["place", "water"]}, {})
print(list(given_records(passages, names, {}, 3, random.Random(0))))
"""


def test_a_seed_gives_the_same_in_another_process():
    first, second = (
        subprocess.run(
            [sys.executable, "-c", HASHED],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ["1", "2"]
    )
    assert first == second != ""


def test_the_shipped_passages_give_records_that_can_be_read(tmp_path):
    passages = list(read_folder(ASSETS / "open_types"))[::10]
    records = [*open_records(passages), *given_records(passages, NAMES, {}, 1, random.Random(0))]
    path = tmp_path / "train.jsonl"
    write_records(path, records)
    assert list(read_records(path)) == records
    for record in records:
        assert all(surface in record["input"] for surface in record["output"])


def test_a_corpus_can_be_asked_openly_to_compare(corpus):
    records = _taken(corpus(30, 0), 10, openly=True)
    assert len(records) == 10
    assert all(record["types"] is None and record["output"] for record in records)


# Splits


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 60), st.floats(0.01, 0.99), st.integers(0, 2**32))
def test_a_split_parts_all_passages(count, part, seed):
    passages = numbered(count)
    rest, aside = split_passages(passages, part, random.Random(seed))
    assert sorted(rest + aside) == sorted(passages)
    assert {item.id for item in rest}.isdisjoint(item.id for item in aside)
    assert len(aside) == max(1, round(count * part))


def test_a_split_keeps_a_repeated_text_on_one_side():
    passages = [passage(f"Text {index // 2}.", f"id-{index}") for index in range(20)]
    for seed in range(20):
        rest, aside = split_passages(passages, 0.3, random.Random(seed))
        assert {item.text for item in rest}.isdisjoint(item.text for item in aside)


def test_a_seed_splits_the_same_again():
    passages = numbered(20)
    first, again, other = (split_passages(passages, 0.2, random.Random(s)) for s in (1, 1, 2))
    assert first == again != other
    assert passages == numbered(20)


# Corpora


def _taken(path, most, names=PLAIN, seed=0, openly=False):
    return corpus_records(path, most, 0.0, names, random.Random(seed), openly=openly)[0]


@pytest.fixture
def corpus(tmp_path):
    """Writes a corpus of texts with and without entities, and gives its path."""

    def write(full, empty):
        path = tmp_path / "wnut.jsonl"
        lines = [
            {"text": f"Ada in Rome {index}", "entities": [[0, 3, "person"], [7, 11, "city"]]}
            for index in range(full)
        ]
        lines += [{"text": f"Nothing {index}", "entities": []} for index in range(empty)]
        srsly.write_jsonl(path, [{**line, "lang": "en"} for line in lines])
        return path

    return write


def without_entities(records):
    return sum(record["input"].startswith("Nothing") for record in records)


@pytest.mark.parametrize("full, empty, most", [(30, 300, 1000), (300, 300, 200), (60, 10, 40)])
def test_at_most_a_quarter_of_the_texts_has_no_entity(corpus, full, empty, most):
    path = corpus(full, empty)
    for seed in range(10):
        records = _taken(path, most, seed=seed)
        assert without_entities(records) <= len(records) / 4


def test_texts_without_entities_fill_up_to_their_part(corpus):
    records = _taken(corpus(30, 300), 1000)
    assert len(records) == 40
    assert without_entities(records) == 10


def test_no_more_than_most_records_are_taken(corpus):
    records = _taken(corpus(50, 50), 20)
    assert len(records) == 20


def test_no_text_of_a_corpus_is_taken_twice(corpus):
    records = _taken(corpus(50, 50), 100)
    assert len({record["input"] for record in records}) == len(records)


def test_a_corpus_names_its_own_types_and_answers_all_that_are_of_them(corpus):
    for record in _taken(corpus(100, 30), 200):
        assert 1 <= len(record["types"]) <= 2
        assert set(record["types"]) <= {"person", "city"}
        truth = {} if record["input"].startswith("Nothing") else {"Ada": "person", "Rome": "city"}
        assert record["output"] == {
            surface: type_ for surface, type_ in truth.items() if type_ in record["types"]
        }


def test_most_records_of_a_corpus_name_all_of_its_types_in_any_order(corpus):
    records = _taken(corpus(100, 0), 200)
    asked = [record["types"] for record in records]
    assert sum(len(types) == 2 for types in asked) > 75
    assert sum(len(types) == 1 for types in asked) > 2
    assert ["person", "city"] in asked and ["city", "person"] in asked


def test_a_corpus_is_named_as_the_source(corpus):
    (record,) = _taken(corpus(1, 0), 1)
    assert (record["source"], record["lang"]) == ("wnut", "en")


def test_synonyms_rename_prompt_and_answer_of_a_corpus_alike(corpus):
    records = _taken(corpus(200, 0), 200, NAMES)
    assert any("town" in record["types"] for record in records)
    for record in records:
        assert set(record["output"].values()) == set(record["types"])


@pytest.mark.parametrize("most", [5, 1000])
def test_what_is_held_out_is_not_trained_on_whatever_else_is_asked(corpus, most):
    path = corpus(100, 20)
    train, aside = corpus_records(path, most, 0.1, NAMES, random.Random(3))
    held = {
        record["input"] for record in corpus_records(path, 1000, 0.1, PLAIN, random.Random(3))[1]
    }
    assert {record["input"] for record in aside} <= held
    assert 9 <= len(held) <= 12 and not held & {record["input"] for record in train}


def test_a_corpus_can_be_held_out_whole(corpus):
    train, aside = corpus_records(corpus(30, 0), 20, 1.0, PLAIN, random.Random(0))
    assert (len(train), len(aside)) == (0, 20)


def test_a_corpus_without_any_entity_gives_no_records(corpus):
    assert _taken(corpus(0, 20), 10) == []


def test_a_seed_samples_the_same_again(corpus):
    path = corpus(40, 40)
    first, again, other = (_taken(path, 20, NAMES, s) for s in (1, 1, 2))
    assert first == again != other
