"""Reading markup, and what holds of all passages that are shipped."""

from collections import defaultdict
from pathlib import Path

import pytest
import srsly
from hypothesis import example, given, settings
from hypothesis import strategies as st

from spacy_nerllm.corpus.markup import (
    parse_markup,
    read_folder,
    read_passages,
    write_markup,
)

ASSETS = Path(__file__).parents[2] / "assets"
HEADER = "# domain: news  lang: en\n\n"

TEXTS = st.text("a bé语🦉\n\\|#[]nid:", max_size=30)
TYPES = st.text("ab c|\\#é", min_size=1).filter(lambda type_: type_ == type_.strip())


@st.composite
def annotated(draw):
    text = draw(TEXTS)
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=8)))
    spans = [
        (start, end)
        for start, end in zip(cuts[::2], cuts[1::2], strict=False)
        if text[start:end] == text[start:end].strip()
    ]
    return text, [(start, end, draw(TYPES)) for start, end in spans]


@settings(deadline=None, max_examples=300)
@given(annotated())
@example(("a\\n|#\n[[b]]", [(0, 3, "x|y"), (6, 11, "z")]))
@example(("[a] [[b] c", [(1, 2, "x"), (5, 8, "y")]))
def test_what_is_written_is_read(case):
    text, entities = case
    assert parse_markup(write_markup(text, entities)) == (text, entities)


@settings(deadline=None, max_examples=200)
@given(st.text("[]|\\n #a", max_size=20))
def test_any_text_is_read_or_refused_as_a_value(marked):
    try:
        text, entities = parse_markup(marked)
    except ValueError:
        return
    assert all(text[start:end].strip() for start, end, _ in entities)


@pytest.mark.parametrize(
    "marked, text",
    [
        (r"a\nb", "a\nb"),
        (r"a \| b", "a | b"),
        (r"a | b", "a | b"),
        (r"\[[a\]]", "[[a]]"),
        (r"\# id: x", "# id: x"),
        (r"C:\\new", "C:\\new"),
        (r"C:\dir", "C:\\dir"),
        ("[a] x[0]", "[a] x[0]"),
        ("", ""),
    ],
)
def test_escapes(marked, text):
    assert parse_markup(marked) == (text, [])


def test_escapes_in_a_surface():
    text, entities = parse_markup(r"see [[a\|b\n\[[c\]]|file path]].")
    assert text == "see a|b\n[[c]]."
    assert entities == [(4, 13, "file path")]


@pytest.mark.parametrize(
    "marked, problem",
    [
        ("[[a [[b|c]] d|e]]", "inside of"),
        ("[[a|b [[c|d]]", "inside of"),
        ("a]]", "without"),
        ("[[a]]", "without"),
        ("[[a|b]] c]]", "without"),
        ("x [[a|b", "never closed"),
        ("x [[a", "never closed"),
        ("[[|b]]", "surface '' is empty"),
        ("[[ a|b]]", "outer white space"),
        ("[[a\\n|b]]", "outer white space"),
        ("[[a|]]", "type '' of 'a' is empty"),
        ("[[a| b]]", "type ' b' of 'a'"),
        ("[[a|b;c]]", "semicolon"),
    ],
)
def test_faulty_marks_name_file_line_and_problem(tmp_path, marked, problem):
    path = tmp_path / "news.txt"
    path.write_text(f"{HEADER}# id: a\n\n{marked}\n", "utf8")
    with pytest.raises(ValueError, match=problem) as error:
        list(read_passages(path))
    assert str(error.value).startswith(f"{path}:5: ")


def test_passages_take_id_domain_and_language_from_above(tmp_path):
    path = tmp_path / "mixed.txt"
    path.write_text(
        "# domain: news  lang: en\n# id: a\n[[Ada|person]] won.\n\n"
        "# domain: law  lang: de\n\n# id: b\n\n  Nichts.  \n",
        "utf8",
    )
    assert list(read_passages(path)) == [
        ("a", "news", "en", "Ada won.", [(0, 3, "person")]),
        ("b", "law", "de", "Nichts.", []),
    ]


@pytest.mark.parametrize(
    "content, line",
    [
        ("# id: a\ntext\n", 2),
        ("# domain: news  lang: en\ntext\n", 2),
        (HEADER + "# id: a\none\n\ntwo\n", 6),
        (HEADER + "# no comment\n", 3),
    ],
)
def test_a_passage_without_id_or_domain_raises(tmp_path, content, line):
    path = tmp_path / "news.txt"
    path.write_text(content, "utf8")
    with pytest.raises(ValueError, match=f":{line}: a passage without"):
        list(read_passages(path))


@pytest.mark.parametrize("comment", ["# id: two words", "# id:", "# domain: news"])
def test_a_comment_is_never_read_as_a_passage(tmp_path, comment):
    path = tmp_path / "news.txt"
    path.write_text(f"{HEADER}# id: a\n{comment}\n", "utf8")
    with pytest.raises(ValueError, match=":4: "):
        list(read_passages(path))


def test_a_repeated_id_names_file_line_and_id(tmp_path):
    path = tmp_path / "news.txt"
    path.write_text(f"{HEADER}# id: a\none\n# id: b\ntwo\n# id: a\nthree\n", "utf8")
    with pytest.raises(ValueError, match=r"news\.txt:7: the id 'a' stands twice"):
        list(read_passages(path))


def test_a_repeated_id_in_another_file_of_the_folder_raises(tmp_path):
    for lang in ["de", "en"]:
        path = tmp_path / lang / "news.txt"
        path.parent.mkdir()
        path.write_text(f"# domain: news  lang: {lang}\n# id: a\n{lang}\n", "utf8")
    with pytest.raises(ValueError, match="the id 'a' stands twice"):
        list(read_folder(tmp_path))


def test_a_folder_is_read_in_the_order_of_its_paths(tmp_path):
    for name in ["en/b", "en/a", "de/c"]:
        path = tmp_path / f"{name}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"# domain: d  lang: {name[:2]}\n# id: {name}\ntext\n", "utf8")
    assert [passage.id for passage in read_folder(tmp_path)] == ["de/c", "en/a", "en/b"]


# The passages that are shipped


@pytest.fixture(scope="module")
def passages():
    return list(read_folder(ASSETS / "open_types"))


def types_of(passage):
    """Surface to all of its types."""
    types = defaultdict(set)
    for start, end, type_ in passage.entities:
        types[passage.text[start:end]].add(type_)
    return types


def test_the_shipped_passages_all_parse_under_unique_ids(passages):
    assert len(passages) > 900
    assert len({passage.id for passage in passages}) == len(passages)
    assert {passage.lang for passage in passages} == {"de", "en", "es"}


def test_shipped_files_are_named_after_language_and_domain(passages):
    for path in sorted((ASSETS / "open_types").glob("*/*.txt")):
        for passage in read_passages(path):
            assert (passage.lang, passage.domain) == (path.parent.name, path.stem)
            assert passage.id.startswith(f"{passage.lang}-{passage.domain}-")


def test_finer_types_name_marked_surfaces_only(passages):
    finer = srsly.read_json(ASSETS / "finer_types.json")
    marked = {passage.id: types_of(passage) for passage in passages}
    unknown = [
        (id_, surface)
        for id_, types in finer.items()
        for surface in types
        if surface not in marked.get(id_, {})
    ]
    assert unknown == []


def test_a_finer_type_is_another_one(passages):
    finer = srsly.read_json(ASSETS / "finer_types.json")
    marked = {passage.id: types_of(passage) for passage in passages}
    same = [
        (id_, surface)
        for id_, types in finer.items()
        for surface, type_ in types.items()
        if type_ in marked[id_][surface]
    ]
    assert same == []
