"""Fetch base models, so that nothing needs a network afterwards."""

from typing import Annotated, List, Optional

import typer
from wasabi import msg

from spacy_nerllm.generation.checkpoints import DEFAULT_BASE, resolve_base


def main(
    names: Annotated[
        Optional[List[str]],
        typer.Argument(help="smollm2-135m (if none is given), or ids of the Hub"),
    ] = None,
) -> None:
    for name in names or [DEFAULT_BASE]:
        base = resolve_base(name)
        msg.good(f"{name} is in {base.path}", f"SHA-256 {base.sha256}")


if __name__ == "__main__":
    typer.run(main)
