"""From annotated docs to records, and back to docs."""

import random
import subprocess
import sys
from pathlib import Path
from typing import List

import spacy
from spacy.tokens import Doc, DocBin

from spacy_nerllm.corpus.docs import doc_records, gold_docs
from spacy_nerllm.corpus.records import read_records

ROOT = Path(__file__).parents[2]


def _docs(count: int) -> List[Doc]:
    """Every third without entities."""
    nlp = spacy.blank("en")
    docs = []
    for index in range(count):
        doc = nlp(f"Ada{index} left Rome{index} today.")
        if index % 3:
            doc.set_ents([doc.char_span(0, len(f"Ada{index}"), label="PERSON")])
        docs.append(doc)
    docs[0].set_ents([docs[0].char_span(10, 15, label="CITY")])
    return docs


def test_a_record_names_the_types_of_all_docs():
    docs = _docs(9)
    records = list(doc_records(docs, "en", "mine", random.Random(0)))
    assert [record["input"] for record in records] == [doc.text for doc in docs]
    assert all(sorted(record["types"]) == ["CITY", "PERSON"] for record in records)
    assert len({tuple(record["types"]) for record in records}) == 2
    assert records[0]["output"] == {"Rome0": "CITY"}
    assert records[1]["output"] == {"Ada1": "PERSON"} and records[3]["output"] == {}


def test_records_with_open_types_give_the_docs_again():
    docs = _docs(9)
    records = list(doc_records(docs, "en", "mine", None))
    again = gold_docs(records, spacy.blank("en"))
    for doc, other in zip(docs, again, strict=True):
        assert [(e.text, e.label_) for e in doc.ents] == [(e.text, e.label_) for e in other.ents]


def _convert(folder: Path, *options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "scripts/convert_docs.py"), "mine.spacy", "out"]
    return subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True)


def test_a_file_is_parted_and_no_doc_is_lost(tmp_path: Path):
    docs = _docs(40)
    DocBin(docs=docs).to_disk(tmp_path / "mine.spacy")
    done = _convert(tmp_path, "--lang", "en")
    assert done.returncode == 0, done.stderr
    parts = [list(read_records(tmp_path / "out" / f"{part}.jsonl")) for part in ("train", "val")]
    kept = DocBin().from_disk(tmp_path / "out" / "test.spacy")
    test = list(kept.get_docs(spacy.blank("en").vocab))
    assert [len(parts[0]), len(parts[1]), len(test)] == [24, 6, 10]
    texts = [record["input"] for part in parts for record in part] + [doc.text for doc in test]
    assert sorted(texts) == sorted(doc.text for doc in docs)
    assert {name for record in parts[0] for name in record["types"]} <= {"CITY", "PERSON"}
    assert "PERSON" in done.stdout


def test_too_few_docs_are_refused(tmp_path: Path):
    DocBin(docs=_docs(2)).to_disk(tmp_path / "mine.spacy")
    done = _convert(tmp_path)
    assert done.returncode == 1 and "too few" in done.stdout + done.stderr
    assert not (tmp_path / "out").exists()
