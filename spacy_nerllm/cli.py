"""`python -m spacy_nerllm ...`"""

import logging
from enum import Enum
from pathlib import Path
from typing import Annotated, List, Optional

import spacy
import typer
from spacy.language import Language
from tqdm import tqdm
from wasabi import Printer

from .files import Writer, paragraphs, writer_for

# Paragraphs that are tagged together: the bar moves once for each such batch.
_BATCH = 16

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_enable=False)


class Format(str, Enum):
    """How results are written."""

    jsonl = "jsonl"
    spacy = "spacy"
    html = "html"


@app.callback()
def main() -> None:
    """Tag open-type entities with a small language model."""
    logging.getLogger("spacy_nerllm").addHandler(logging.StreamHandler())


@app.command()
def tag(
    inputs: Annotated[List[Path], typer.Argument(help="Text files (UTF-8), or JSONL with 'text'")],
    output: Annotated[
        Optional[Path], typer.Option(help="Where to write; JSONL to stdout if not given")
    ] = None,
    format: Annotated[
        Optional[Format], typer.Option(help="jsonl, spacy or html; else by the ending of --output")
    ] = None,
    pipeline: Annotated[Optional[str], typer.Option(help="A saved pipeline with nerllm")] = None,
    lang: Annotated[Optional[str], typer.Option(help="Language of the tokenizer, or xx")] = None,
    labels: Annotated[
        Optional[str], typer.Option(help="Types to choose from, separated by ';'")
    ] = None,
    adapter: Annotated[
        Optional[str], typer.Option(help="Adapter: 'default', a folder or a Hub id")
    ] = None,
    base: Annotated[Optional[str], typer.Option(help="Base model of the adapter")] = None,
) -> None:
    """Tag text files, paragraph by paragraph, and write entities with their offsets.

    A saved pipeline has its own language, labels, adapter and base.
    """
    msg = Printer(no_print=output is None)
    for path in inputs:
        if not path.is_file():
            raise typer.BadParameter(f"There is no file {path}.")
    config = {"adapter": adapter, "base": base, "labels": _split(labels)}
    config = {name: value for name, value in config.items() if value is not None}
    if pipeline and (lang or config):
        given = ", ".join(f"--{name}" for name in [*["lang"] * bool(lang), *config])
        raise typer.BadParameter(f"--pipeline has its own: leave out {given}.")
    nlp = spacy.load(pipeline) if pipeline else _make_pipeline(lang or "xx", config)
    count = 0
    with writer_for(output, format.value if format else None) as writer:
        for path in inputs:
            count += _tag_file(nlp, path, writer)
    msg.good(f"{count} entities written to {output}")


def _split(labels: Optional[str]) -> Optional[List[str]]:
    return [label.strip() for label in labels.split(";")] if labels else None


def _make_pipeline(lang: str, config: dict) -> Language:
    nlp = spacy.blank(lang)
    nlp.add_pipe("nerllm", config=config)
    return nlp


def _tag_file(nlp: Language, path: Path, writer: Writer) -> int:
    """Stream one file through the pipeline. The bar counts bytes, so that it knows the end."""
    count = 0
    with tqdm(total=path.stat().st_size, unit="B", unit_scale=True, desc=path.name) as bar:
        stream = ((paragraph.text, paragraph) for paragraph in paragraphs(path))
        for doc, paragraph in nlp.pipe(stream, as_tuples=True, batch_size=_BATCH):
            writer.write(doc, {"file": str(path), "start": paragraph.start})
            count += len(doc.ents)
            bar.update(paragraph.size)
    return count
