"""CTranslate2, int8. It has no pass over several cached tokens of a row: its times are those of its
generation, of one token after a prompt at once (with the vocabulary's scores), and of one more.
"""

import json
import time
from pathlib import Path
from typing import Annotated, Dict, List, Optional

import ctranslate2
import numpy as np
import typer
from ctranslate2.converters import TransformersConverter
from workload import END, LIMIT, REPEATS, SHAPES, THREADS, describe

MORE = 32  # Tokens over which the time of one is taken.
app = typer.Typer(pretty_exceptions_enable=False)


class CTranslate2:
    """Generates."""

    def __init__(self, path: Path) -> None:
        self._generator = ctranslate2.Generator(str(path), "cpu", intra_threads=THREADS)
        # Prompts are given as strings, not as ids.
        self._tokens: List[str] = json.loads((path / "vocabulary.json").read_text("utf8"))

    def generate(self, prompts: List[List[int]], least: int, most: int) -> List[List[int]]:
        results = self._generator.generate_batch(
            [[self._tokens[token] for token in prompt] for prompt in prompts],
            min_length=least,
            max_length=most,
            end_token=[END],
            include_prompt_in_result=False,
        )
        return [result.sequences_ids[0] for result in results]

    def milliseconds(self, prompts: List[List[int]], tokens: int) -> float:
        seconds = []
        for _ in range(REPEATS + 1):
            begin = time.perf_counter()
            self.generate(prompts, tokens, tokens)
            seconds.append(time.perf_counter() - begin)
        return 1000 * float(np.median(seconds[1:]))


def measure(engine: CTranslate2) -> Dict[str, Optional[float]]:
    found: Dict[str, Optional[float]] = {}
    random = np.random.default_rng(0)
    for rows, new, past in SHAPES:
        ids = random.integers(5, 40000, (rows, past or new)).tolist()
        if past and new > 1:
            found[f"{rows}x{new}"] = None
        elif past:
            all_, first = (engine.milliseconds(ids, tokens) for tokens in (1 + MORE, 1))
            found[f"{rows}x{new}"] = round((all_ - first) / MORE, 1)
        else:
            found[f"{rows}x{new}"] = round(engine.milliseconds(ids, 1), 1)
    return found


@app.command()
def build(
    model: Annotated[Path, typer.Argument(help="Folder of a transformers model")],
    out: Annotated[Path, typer.Argument(help="Where to write the folder")],
) -> None:
    """Convert a model. This needs torch and transformers."""
    TransformersConverter(str(model)).convert(str(out), quantization="int8")


@app.command()
def run(
    model: Annotated[Path, typer.Argument(help="The folder")],
    prompts: Annotated[Path, typer.Argument(help="Token ids of prompts, JSON")],
    out: Annotated[Path, typer.Argument(help="Where to write the row, JSON")],
) -> None:
    """Measure it."""
    engine = CTranslate2(model)
    row = describe("CTranslate2", "int8", "ctranslate2", ["ctranslate2"], model, measure(engine))
    row["verifies_runs"] = False
    asked = json.loads(prompts.read_text("utf8"))
    row["answers"] = [engine.generate([prompt], 0, LIMIT)[0] for prompt in asked]
    out.write_text(json.dumps(row), "utf8")


if __name__ == "__main__":
    app()
