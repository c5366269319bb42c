"""The parts of a corpus are fixed, disjoint and whole."""

import random
from pathlib import Path

import pytest
import srsly

from spacy_nerllm.corpus.assemble import part_passages
from spacy_nerllm.corpus.markup import read_folder
from spacy_nerllm.corpus.splits import has_splits, read_splits

SHIPPED = Path(__file__).parents[2] / "assets" / "open_types"


def _corpus(folder: Path, **parts: list) -> Path:
    lines = ["# domain: news  lang: en"]
    for n in range(6):
        lines += [f"# id: en-news-{n}", f"Text {n}."]
    (folder / "en").mkdir()
    (folder / "en" / "news.txt").write_text("\n".join(lines), "utf8")
    if parts:
        srsly.write_json(folder / "splits.json", parts)
    return folder


def test_what_is_in_no_other_part_is_to_train_on(tmp_path: Path):
    folder = _corpus(tmp_path, dev=["en-news-1"], test=["en-news-4", "en-news-0"])
    parts = {part: [p.id for p in found] for part, found in read_splits(folder).items()}
    assert parts == {
        "train": ["en-news-2", "en-news-3", "en-news-5"],
        "dev": ["en-news-1"],
        "test": ["en-news-0", "en-news-4"],
    }


def test_an_id_of_two_parts_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match="'en-news-1' is in two parts"):
        read_splits(_corpus(tmp_path, dev=["en-news-1"], test=["en-news-1"]))


def test_an_id_of_no_passage_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match="do not exist.*en-news-9"):
        read_splits(_corpus(tmp_path, dev=["en-news-9"], test=[]))


def test_fixed_parts_hold_and_test_is_never_trained_on(tmp_path: Path):
    folder = _corpus(tmp_path, dev=["en-news-1"], test=["en-news-4"])
    train, val = part_passages(folder, 0.5, random.Random(0))
    assert {passage.id for passage in train} == {f"en-news-{n}" for n in (0, 2, 3, 5)}
    assert [passage.id for passage in val] == ["en-news-1"]


def test_a_folder_without_parts_is_parted_by_chance(tmp_path: Path):
    folder = _corpus(tmp_path)
    assert not has_splits(folder)
    train, val = part_passages(folder, 0.5, random.Random(0))
    assert (len(train), len(val)) == (3, 3)


def test_the_first_passages_are_to_train_on():
    # Adapters have seen them: all of one file, up to its first id of the second writing.
    parts = read_splits(SHIPPED)
    aside = {passage.id for part in ("dev", "test") for passage in parts[part]}
    assert all(int(id_.rsplit("-", 1)[1]) > 100 for id_ in aside)
    assert sum(map(len, parts.values())) == len(list(read_folder(SHIPPED)))
