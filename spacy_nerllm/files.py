"""Read texts from files and write tagged docs to files, both as streams."""

import sys
import warnings
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Protocol, TextIO, Type

import srsly
from spacy import displacy
from spacy.displacy.templates import TPL_PAGE
from spacy.tokens import Doc, DocBin

from .errors import Errors

# In characters: about two pages.
_LONG_PARAGRAPH = 6000


class Paragraph(NamedTuple):
    """A part of a file that becomes a doc.

    path (Path): The file.
    start (int): Offset of its first character in the file; for JSONL the number of the line.
    text (str): The text, verbatim.
    size (int): How many bytes of the file it stands for.
    """

    path: Path
    start: int
    text: str
    size: int


def paragraphs(path: Path) -> Iterator[Paragraph]:
    """Read a file as a stream.

    path (Path): JSONL with a "text" in each line, or text in UTF-8, cut at blank lines and, where
        there is none for long, at the end of a line.
    YIELDS (Paragraph): Its paragraphs, or the texts of its lines.
    RAISES (ValueError): With file and line, if a line of JSONL has no "text"; with the file, if it
        is not UTF-8.
    """
    try:
        yield from _lines_of_json(path) if path.suffix == ".jsonl" else _paragraphs_of_text(path)
    except UnicodeDecodeError as error:
        raise ValueError(Errors.E016.format(path=path, problem=error)) from None


def _lines_of_json(path: Path) -> Iterator[Paragraph]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            record = _parse(line)
            if not isinstance(record, dict) or not isinstance(record.get("text"), str):
                problem = f"{line.strip()[:80]!r} has no 'text'"
                raise ValueError(Errors.E012.format(path=path, line=number, problem=problem))
            yield Paragraph(path, number, record["text"], len(line.encode("utf8")))


def _parse(line: str) -> Any:
    try:
        return srsly.json_loads(line)
    except ValueError:
        return line


def _paragraphs_of_text(path: Path) -> Iterator[Paragraph]:
    held: List[str] = []
    start = 0
    with path.open(encoding="utf-8-sig", newline="") as file:
        for line in file:
            held.append(line)
            if not line.strip() or sum(map(len, held)) > _LONG_PARAGRAPH:
                text = "".join(held)
                yield Paragraph(path, start, text, len(text.encode("utf8")))
                start += len(text)
                held = []
    if held:
        text = "".join(held)
        yield Paragraph(path, start, text, len(text.encode("utf8")))


class Writer(Protocol):
    """Writes tagged docs. A context manager."""

    def __enter__(self) -> "Writer": ...

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None: ...

    def write(self, doc: Doc, origin: Dict[str, Any]) -> None:
        """Write one doc.

        doc (Doc): The doc.
        origin (Dict[str, Any]): Where its text comes from.
        """
        ...


def writer_for(output: Optional[Path], format: Optional[str] = None) -> Writer:
    """Choose a writer.

    output (Optional[Path]): The file, or None for standard output.
    format (Optional[str]): "jsonl", "spacy" or "html"; by the file's ending if not given.
    RETURNS (Writer): The writer.
    RAISES (ValueError): If the format is none of these.
    """
    kind = format or (output.suffix.lstrip(".") if output else "jsonl")
    if kind not in ("jsonl", "spacy", "html") or (output is None and kind == "spacy"):
        raise ValueError(Errors.E014.format(format=kind, output=output))
    if kind == "spacy":
        return _DocBinWriter(output)
    return _HtmlWriter(output) if kind == "html" else _JsonlWriter(output)


class _TextWriter:
    def __init__(self, output: Optional[Path]) -> None:
        self._output = output
        self._file: TextIO = sys.stdout

    def __enter__(self) -> Any:
        if self._output is not None:
            self._output.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._output.open("w", encoding="utf8")
        return self

    def __exit__(self, *error: Any) -> None:
        if self._output is not None:
            self._file.close()


class _JsonlWriter(_TextWriter):
    """A line for each doc: its origin, its text, and its entities with offsets in that text."""

    def write(self, doc: Doc, origin: Dict[str, Any]) -> None:
        ents = [
            {"start": ent.start_char, "end": ent.end_char, "label": ent.label_, "text": ent.text}
            for ent in doc.ents
        ]
        self._file.write(srsly.json_dumps({**origin, "text": doc.text, "ents": ents}) + "\n")


class _HtmlWriter(_TextWriter):
    """displaCy's page, written doc by doc."""

    def __enter__(self) -> "_HtmlWriter":
        super().__enter__()
        before, self._after = TPL_PAGE.split("{content}")
        self._file.write(before.format(lang="xx", dir="ltr"))
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.write(self._after)
        super().__exit__(*error)

    def write(self, doc: Doc, origin: Dict[str, Any]) -> None:
        with warnings.catch_warnings():
            # A doc without entities is no mistake here.
            warnings.filterwarnings("ignore", message=r"\[W006\]")
            self._file.write(displacy.render(doc, style="ent", jupyter=False))


class _DocBinWriter:
    """spaCy's own format. Its docs are held in compressed form until the end."""

    def __init__(self, output: Path) -> None:
        self._output = output
        self._docs = DocBin(store_user_data=True)

    def __enter__(self) -> "_DocBinWriter":
        return self

    def __exit__(self, *error: Any) -> None:
        self._output.parent.mkdir(parents=True, exist_ok=True)
        self._docs.to_disk(self._output)

    def write(self, doc: Doc, origin: Dict[str, Any]) -> None:
        doc.user_data.update(origin)
        self._docs.add(doc)
