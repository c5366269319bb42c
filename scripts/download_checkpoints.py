"""Fetch base models, so that nothing needs a network afterwards."""

from typing import Annotated, List

import typer
from wasabi import msg

from spacy_nerllm.generation.checkpoints import DEFAULT_BASE, resolve_base


def main(
    names: Annotated[List[str], typer.Argument(help="smollm2-135m, or ids of the Hub")] = [DEFAULT_BASE],  # noqa: B006
) -> None:
    for name in names:
        base = resolve_base(name)
        msg.good(f"{name} is in {base.path}", f"SHA-256 {base.sha256}")


if __name__ == "__main__":
    typer.run(main)
