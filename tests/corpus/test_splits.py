"""The parts of a corpus are fixed, disjoint and whole."""

import random
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
import srsly
from spacy.tokens import DocBin

from spacy_nerllm.corpus.assemble import part_passages
from spacy_nerllm.corpus.markup import read_folder
from spacy_nerllm.corpus.records import read_records
from spacy_nerllm.corpus.splits import PARTS, has_splits, read_splits

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "assets" / "open_types"
SCRIPT = ROOT / "scripts" / "convert_passages.py"


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


def test_parts_are_written_as_records_and_as_docs(tmp_path: Path):
    folder = _corpus(tmp_path, dev=["en-news-1"], test=["en-news-4"])
    (folder / "en" / "law.txt").write_text(
        "# domain: law  lang: en\n# id: en-law-1\n[[Ada|person]] saw Adam in [[Os|city]]lo.\n",
        "utf8",
    )
    command = [sys.executable, str(SCRIPT), str(tmp_path / "out"), "--passages", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "1 of 2 entities fit the tokens" in done.stdout
    records = {part: list(read_records(tmp_path / "out" / f"{part}.jsonl")) for part in PARTS}
    assert list(map(len, records.values())) == [5, 1, 1]
    assert records["train"][0]["output"] == {"Ada": "person", "Os": "city"}
    saved = DocBin().from_disk(tmp_path / "out" / "train.spacy")
    docs = list(saved.get_docs(spacy.blank("xx").vocab))
    assert [(ent.text, ent.label_) for ent in docs[0].ents] == [("Ada", "person")]
    assert all(doc.has_annotation("ENT_IOB") for doc in docs)


def test_the_first_passages_are_to_train_on():
    # Those with numbers up to 100: adapters have seen them.
    parts = read_splits(SHIPPED)
    aside = {passage.id for part in ("dev", "test") for passage in parts[part]}
    assert all(int(id_.rsplit("-", 1)[1]) > 100 for id_ in aside)
    assert sum(map(len, parts.values())) == len(list(read_folder(SHIPPED)))
