"""Read passages that are annotated in place: `[[Marie Curie|person]] shared the prize`.

A file starts with `# domain: news  lang: en`. Each passage stands on one line behind its own
`# id: en-news-0001`. Inside it `\\n` is a line break, and a backslash before one of
`|`, `[[`, `]]`, `[`, `]`, `#` and `\\` takes it literally. Of more than two brackets in a row the
inner two are the mark: `[[[Radio Plein|radio station]]]` is a name in brackets.
"""

import re
from pathlib import Path
from typing import Iterable, Iterator, List, NamedTuple, Set, Tuple

from ..errors import Errors

_HEADER = re.compile(r"# domain:\s*(?P<domain>\S+)\s+lang:\s*(?P<lang>\S+)\s*$")
_ID = re.compile(r"# id:\s*(?P<id>\S+)\s*$")
_PIECE = re.compile(
    r"\\(?P<escaped>n|\[\[|\]\]|[][|#\\])|(?P<mark>\[\[(?!\[)|\]\]|\|)|(?P<char>.)", re.DOTALL
)


class Passage(NamedTuple):
    """An annotated text.

    id (str): Its own in the corpus.
    domain (str): What kind of text it is.
    lang (str): ISO 639-1 code.
    text (str): The text without markup.
    entities (List[Tuple[int, int, str]]): (start, end, type) in characters, flat, by start.
    """

    id: str
    domain: str
    lang: str
    text: str
    entities: List[Tuple[int, int, str]]


def parse_markup(marked: str) -> Tuple[str, List[Tuple[int, int, str]]]:
    """Take the marks out of one passage.

    marked (str): A passage in markup.
    RETURNS (Tuple[str, List[Tuple[int, int, str]]]): Its text, and (start, end, type).
    RAISES (ValueError): If marks nest, do not pair up, or hold an empty surface or type.
    """
    text = ""
    entities = []
    start, surface_end, type_ = -1, -1, ""
    for piece in _PIECE.finditer(marked):
        mark = piece["mark"] or ""
        char = "\n" if piece["escaped"] == "n" else piece["escaped"] or piece["char"] or mark
        if mark == "[[":
            if start >= 0:
                raise ValueError(f"'[[' inside of '[[{text[start:]}'")
            start, surface_end, type_ = len(text), -1, ""
        elif mark == "]]":
            if start < 0 or surface_end < 0:
                raise ValueError(f"']]' without '[[surface|' after {text[-20:]!r}")
            entities.append((start, surface_end, _check_entity(text[start:surface_end], type_)))
            start = -1
        elif mark == "|" and start >= 0 and surface_end < 0:
            surface_end = len(text)
        elif start >= 0 and surface_end >= 0:
            type_ += char
        else:
            text += char
    if start >= 0:
        raise ValueError(f"'[[{text[start:]}' is never closed")
    return text, entities


def write_markup(text: str, entities: Iterable[Tuple[int, int, str]]) -> str:
    """Mark one passage: the inverse of `parse_markup`.

    text (str): Its text.
    entities (Iterable[Tuple[int, int, str]]): (start, end, type) in characters, flat, by start.
    RETURNS (str): The passage in markup, on one line.
    """
    marked, last = "", 0
    for start, end, type_ in entities:
        # A bracket right behind the mark would be taken for a part of it.
        surface = re.sub(r"^\[", r"\\[", _escape(text[start:end]))
        marked += f"{_escape(text[last:start])}[[{surface}|{_escape(type_)}]]"
        last = end
    return marked + _escape(text[last:])


def _escape(text: str) -> str:
    return re.sub(r"\[\[|]]|[\\|#]", r"\\\g<0>", text).replace("\n", "\\n")


def _check_entity(surface: str, type_: str) -> str:
    if not surface or surface != surface.strip():
        raise ValueError(f"the surface {surface!r} is empty or has outer white space")
    if not type_ or type_ != type_.strip() or ";" in type_:
        raise ValueError(
            f"the type {type_!r} of {surface!r} is empty, has outer white space or a semicolon"
        )
    return type_


def read_passages(path: Path) -> Iterator[Passage]:
    """Read the passages of one file.

    path (Path): A file in markup, UTF-8.
    YIELDS (Passage): Its passages.
    RAISES (ValueError): With file and line, if a line is no markup, has no id, or repeats one.
    """
    domain = lang = id_ = ""
    seen: Set[str] = set()
    for number, line in enumerate(path.read_text("utf8").split("\n"), 1):
        header, new_id = _HEADER.match(line), _ID.match(line)
        if header:
            domain, lang = header["domain"], header["lang"]
        elif new_id:
            id_ = new_id["id"]
            if id_ in seen:
                raise ValueError(Errors.E011.format(path=path, line=number, id=id_))
            seen.add(id_)
        elif line.startswith(("# id:", "# domain:")):
            problem = f"{line!r} is neither '# domain: NAME  lang: CODE' nor '# id: NAME'"
            raise ValueError(Errors.E010.format(path=path, line=number, problem=problem))
        elif line.strip():
            if not id_ or not domain:
                problem = "a passage without '# domain: ... lang: ...' and '# id: ...' before it"
                raise ValueError(Errors.E010.format(path=path, line=number, problem=problem))
            try:
                text, entities = parse_markup(line.strip())
            except ValueError as error:
                raise ValueError(
                    Errors.E010.format(path=path, line=number, problem=error)
                ) from None
            yield Passage(id_, domain, lang, text, entities)
            id_ = ""


def read_folder(folder: Path) -> Iterable[Passage]:
    """Read all passages below a folder, `<lang>/<domain>.txt`, in the order of their paths.

    folder (Path): For example assets/open_types.
    YIELDS (Passage): The passages.
    RAISES (ValueError): As `read_passages`, and if there is no such folder.
    """
    if not folder.is_dir():
        raise ValueError(Errors.E013.format(path=folder))
    seen: Set[str] = set()
    for path in sorted(folder.glob("*/*.txt")):
        for passage in read_passages(path):
            if passage.id in seen:
                raise ValueError(Errors.E015.format(path=path, id=passage.id))
            seen.add(passage.id)
            yield passage
