"""Tag a text, print its entities and write displaCy's page."""

from pathlib import Path
from typing import Annotated, Optional

import spacy
import typer
from spacy import displacy
from wasabi import msg


def main(
    article: Annotated[Path, typer.Argument(help="A text, UTF-8")] = Path(
        "assets/articles/antikythera.txt"
    ),
    output: Annotated[Path, typer.Argument(help="The page, HTML")] = Path("output/article.html"),
    pipeline: Annotated[
        Optional[str], typer.Option(help="A saved pipeline; else the packaged adapter")
    ] = None,
) -> None:
    if pipeline:
        nlp = spacy.load(pipeline)
    else:
        nlp = spacy.blank("en")
        nlp.add_pipe("nerllm")
    doc = nlp(article.read_text("utf8"))
    rows = [(ent.text, ent.label_, ent.start_char) for ent in doc.ents]
    msg.table(rows, header=("entity", "type", "offset"), divider=True)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(displacy.render(doc, style="ent", page=True, jupyter=False), "utf8")
    msg.good(f"{len(rows)} entities; the page is {output}")


if __name__ == "__main__":
    typer.run(main)
