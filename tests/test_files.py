"""Files are read and written as streams, verbatim."""

from pathlib import Path

import pytest
import spacy
import srsly
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, DocBin, Span

from spacy_nerllm.files import paragraphs, writer_for


def make_doc(text: str) -> Doc:
    doc = spacy.blank("en")(text)
    doc.ents = [Span(doc, 0, 1, label="person")]
    return doc


@given(st.text(alphabet="ab \n\r\té", max_size=40))
def test_paragraphs_hold_the_whole_file(tmp_path_factory: pytest.TempPathFactory, text: str):
    path = tmp_path_factory.mktemp("files") / "a.txt"
    path.write_text(text, "utf8", newline="")
    found = list(paragraphs(path))
    assert "".join(paragraph.text for paragraph in found) == text
    assert all(
        text[paragraph.start : paragraph.start + len(paragraph.text)] == paragraph.text
        for paragraph in found
    )
    assert sum(paragraph.size for paragraph in found) == path.stat().st_size


def test_lines_of_json_keep_their_numbers(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n\n{"text": "two"}\n', "utf8")
    assert [(found.start, found.text) for found in paragraphs(path)] == [(1, "one"), (3, "two")]


def test_a_line_without_text_is_named(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n{"body": "two"}\n', "utf8")
    with pytest.raises(ValueError, match="a.jsonl:2: .*has no 'text'"):
        list(paragraphs(path))


def test_jsonl_has_offsets_and_origin(tmp_path: Path):
    with writer_for(tmp_path / "out" / "a.jsonl") as writer:
        writer.write(make_doc("Zoë wrote."), {"file": "b.txt", "start": 7})
    (line,) = srsly.read_jsonl(tmp_path / "out" / "a.jsonl")
    assert line == {
        "file": "b.txt",
        "start": 7,
        "text": "Zoë wrote.",
        "ents": [{"start": 0, "end": 3, "label": "person", "text": "Zoë"}],
    }


def test_spacy_file_keeps_entities(tmp_path: Path):
    with writer_for(tmp_path / "a.spacy") as writer:
        writer.write(make_doc("Zoë wrote."), {"file": "b.txt", "start": 7})
    vocab = spacy.blank("en").vocab
    (doc,) = DocBin().from_disk(tmp_path / "a.spacy").get_docs(vocab)
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Zoë", "person")]
    assert doc.user_data["start"] == 7


def test_html_is_one_page_and_escapes_texts(tmp_path: Path):
    with writer_for(tmp_path / "a.html") as writer:
        writer.write(make_doc("<script> one"), {})
        writer.write(make_doc("two"), {})
    page = (tmp_path / "a.html").read_text("utf8")
    assert page.count("<!DOCTYPE html>") == page.count("</html>") == 1
    assert "&lt;" in page and "<script>" not in page


@pytest.mark.parametrize("output, format", [(Path("a.csv"), None), (None, "spacy")])
def test_an_unknown_format_is_refused(output: Path, format: str):
    with pytest.raises(ValueError, match="Use jsonl, spacy or html"):
        writer_for(output, format)


def test_a_line_that_is_no_json_is_named(tmp_path: Path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "one"}\n{"text": \n', "utf8")
    with pytest.raises(ValueError, match="a.jsonl:2: "):
        list(paragraphs(path))


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_another_encoding_is_named(tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_bytes("Zoë".encode("latin1"))
    with pytest.raises(ValueError, match=f"{name} is no text in UTF-8"):
        list(paragraphs(path))


def test_a_byte_order_mark_is_no_text(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("Zoë", "utf-8-sig")
    assert [paragraph.text for paragraph in paragraphs(path)] == ["Zoë"]


def test_a_long_text_without_blank_lines_is_cut_at_the_end_of_a_line(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_text("word word word\n" * 2000, "utf8")
    texts = [paragraph.text for paragraph in paragraphs(path)]
    assert len(texts) > 1 and "".join(texts) == "word word word\n" * 2000
    assert all(text.endswith("\n") and len(text) < 7000 for text in texts)


def test_a_page_of_docs_without_entities_warns_of_nothing(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
):
    with writer_for(tmp_path / "a.html") as writer:
        writer.write(spacy.blank("en")("Nothing."), {})
    assert not recwarn.list
