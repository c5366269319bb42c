"""Speed of tagging with given types, beside what it is made of and what one would take instead.

All rows tag the same texts with the types of their corpus, each in a process of its own:

    generate, one by one    transformers' `generate`, greedy, float32, under the same constraint
    generate, 16 at once    the same in batches
    nerllm float32          the component with dtype="float32"
    nerllm                  the component as it is shipped
    prompts alone, ...      one pass over whole prompts in batches: what reading costs
    GLiNER ... shape        encoders with random weights, see encoders.py
    en_core_web_sm          spaCy's own, if it is installed

Ratios are the result. Each round measures all rows, so that a slow minute of the machine spoils one
round of three.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, Callable, Dict, List, NamedTuple, Optional, Tuple

import srsly
import torch
import typer
from greedy import decode_greedily
from spacy.util import minibatch
from wasabi import msg

import spacy_nerllm.component  # noqa: F401 (registers the factory where nothing is installed)
from spacy_nerllm.entity_map import read_answer
from spacy_nerllm.evaluation.machine import machine
from spacy_nerllm.evaluation.texts import read_texts
from spacy_nerllm.generation.checkpoints import resolve_adapter, resolve_base
from spacy_nerllm.generation.encoding import encode_prompt
from spacy_nerllm.generation.local import LocalGenerator
from spacy_nerllm.generation.merging import merge
from spacy_nerllm.generation.network import Run
from spacy_nerllm.generation.protocol import Answer
from spacy_nerllm.settings import Settings

CROSSNER = [f"crossner_{name}" for name in ("ai", "literature", "music", "politics", "science")]
BATCH = 16
SETTINGS = Settings()
# As many more texts of each corpus are tagged one by one, for the latency of a sentence.
SINGLES = 6
THREADS = 2

PLAIN = "generate, one by one"
SHIPPED = "nerllm"


class Measured(NamedTuple):
    """What a row did.

    seconds (float): For all texts.
    tokens (int): Of the answers; of the prompts where there is none.
    passes (int): Forward passes over all texts one by one, or 0.
    entities (int): Surfaces found one by one.
    latencies (List[float]): Seconds of each text alone.
    """

    seconds: float
    tokens: int
    passes: int = 0
    entities: int = 0
    latencies: List[float] = []


class Corpus(NamedTuple):
    """Texts with their types. Those of `singles` are none of `texts`."""

    name: str
    labels: List[str]
    texts: List[str]
    singles: List[str]


def load(dtype: str) -> LocalGenerator:
    return LocalGenerator.load("smollm2-135m", resolve_adapter("default"), "cpu", dtype)


def tag_first(
    generator: LocalGenerator, data: Path, labels: Path, limit: int, *, constrain: bool = False
) -> Tuple[List[Answer], float]:
    """RETURNS (Tuple[List[Answer], float]): Answers to the first texts of each corpus, and seconds.

    generator (LocalGenerator): The generator.
    data (Path): Folder of corpora, JSONL.
    labels (Path): Types of each corpus, JSON.
    limit (int): Texts of each corpus.
    constrain (bool): Whether a grammar tells what may be written.
    """
    types, answers, seconds = srsly.read_json(labels), [], 0.0
    for name in CROSSNER:
        texts = read_texts(data / f"{name}.jsonl", limit)
        prompts = [generator.render(text.text, types[name]) for text in texts]
        begin = time.perf_counter()
        answers += generator.generate(
            prompts,
            types[name],
            max_new_tokens=SETTINGS.max_new_tokens,
            batch_tokens=SETTINGS.batch_tokens,
            constrain=constrain,
        )
        seconds += time.perf_counter() - begin
    return answers, seconds


def generate(corpora: List[Corpus], size: int) -> Measured:
    generator = load("float32")
    model = merge(resolve_base("smollm2-135m"), resolve_adapter("default"))

    def answer(texts: List[str], labels: List[str]) -> int:
        prompts = [generator.render(text, labels) for text in texts]
        answers = decode_greedily(
            model, generator._tokenizer, prompts, labels, SETTINGS.max_new_tokens
        )
        return sum(len(found.tokens) for found in answers)

    begin, tokens = time.perf_counter(), 0
    for corpus in corpora:
        for batch in minibatch(sorted(corpus.texts, key=len), size):
            tokens += answer(batch, corpus.labels)
    seconds = time.perf_counter() - begin
    return Measured(seconds, tokens, latencies=time_singles(corpora, answer) if size == 1 else [])


def time_singles(
    corpora: List[Corpus], answer: Callable[[List[str], List[str]], Any]
) -> List[float]:
    """Seconds of each text alone."""
    latencies = []
    for corpus in corpora:
        for text in corpus.singles:
            begin = time.perf_counter()
            answer([text], corpus.labels)
            latencies.append(time.perf_counter() - begin)
    return latencies


def tag(corpora: List[Corpus], dtype: str) -> Measured:
    generator = load(dtype)
    decoder = generator._decoder

    def answer(texts: List[str], labels: List[str]) -> List[Any]:
        prompts = [generator.render(text, labels) for text in texts]
        return generator.generate(
            prompts,
            labels,
            max_new_tokens=SETTINGS.max_new_tokens,
            batch_tokens=SETTINGS.batch_tokens,
        )

    answer(corpora[0].singles[:1], corpora[0].labels)
    begin, tokens = time.perf_counter(), 0
    for corpus in corpora:
        tokens += sum(len(found.ends) for found in answer(corpus.texts, corpus.labels))
    seconds = time.perf_counter() - begin
    # Afterwards, when the types of this adapter are known: as in a service that has run a while.
    before, found = decoder.passes, []
    latencies = time_singles(corpora, lambda *text: found.extend(answer(*text)))
    entities = sum(len(read_answer(single.text).pairs) for single in found)
    return Measured(seconds, tokens, decoder.passes - before, entities, latencies)


def read_prompts(corpora: List[Corpus], dtype: str) -> Measured:
    generator = load(dtype)
    network = generator._decoder._network

    def read(texts: List[str], labels: List[str]) -> int:
        prompts = [
            encode_prompt(generator._tokenizer, generator.render(text, labels)) for text in texts
        ]
        store = network.new_store(len(prompts), max(map(len, prompts)))
        with torch.inference_mode():
            network.states([Run(prompt, 0) for prompt in prompts], store, 0)
        return sum(map(len, prompts))

    begin, tokens = time.perf_counter(), 0
    for corpus in corpora:
        for batch in minibatch(sorted(corpus.texts, key=len), BATCH):
            tokens += read(batch, corpus.labels)
    seconds = time.perf_counter() - begin
    return Measured(seconds, tokens, latencies=time_singles(corpora, read))


ROWS: Dict[str, Callable[[List[Corpus]], Measured]] = {
    PLAIN: lambda corpora: generate(corpora, 1),
    "generate, 16 at once": lambda corpora: generate(corpora, BATCH),
    "nerllm float32": lambda corpora: tag(corpora, "float32"),
    SHIPPED: lambda corpora: tag(corpora, "auto"),
    "prompts alone, float32": lambda corpora: read_prompts(corpora, "float32"),
    "prompts alone, int8": lambda corpora: read_prompts(corpora, "auto"),
}


def run_row(name: str, job: Path) -> Dict[str, Any]:
    """Measure a row in this process."""
    torch.set_num_threads(THREADS)
    corpora = [Corpus(**corpus) for corpus in srsly.read_json(job)["corpora"]]
    words = sum(len(text.split()) for corpus in corpora for text in corpus.texts)
    found = ROWS[name](corpora)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    result = {
        "row": name,
        "words_per_second": round(words / found.seconds, 1),
        "tokens_per_second": round(found.tokens / found.seconds, 1),
        "peak_rss_mb": round(peak / 1e6),
    }
    if found.latencies:
        cuts = statistics.quantiles(found.latencies, n=20)
        result["single_p50_ms"] = round(1000 * statistics.median(found.latencies), 1)
        result["single_p95_ms"] = round(1000 * cuts[-1], 1)
    if found.entities:
        result["passes_per_entity"] = round(found.passes / found.entities, 2)
    return result


def run_all(job: Path, encoders: Optional[Path], rows: List[str]) -> List[Dict[str, Any]]:
    """Measure each row once, in processes of their own."""
    found = []
    for name in rows:
        msg.text(name)
        command = [sys.executable, __file__, "--job", str(job), "--row", name]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        found.append(json.loads(printed.splitlines()[-1]))
    if encoders:
        program = Path(__file__).with_name("encoders.py")
        printed = subprocess.run(
            [str(encoders), str(program), str(job)], check=True, stdout=subprocess.PIPE
        ).stdout
        found.extend(json.loads(printed))
    return found


def show(rounds: List[List[Dict[str, Any]]]) -> None:
    """Print medians over the rounds, and what they are times the plain row, with the spread."""
    table = []
    for same in zip(*rounds, strict=True):
        ratios = [
            row["words_per_second"] / measured[0]["words_per_second"]
            for row, measured in zip(same, rounds, strict=True)
        ]
        middle = [
            str(statistics.median(row[key] for row in same)) if key in same[0] else ""
            for key in (
                "words_per_second",
                "single_p50_ms",
                "single_p95_ms",
                "passes_per_entity",
                "peak_rss_mb",
            )
        ]
        spread = f"{statistics.median(ratios):.1f} ({min(ratios):.1f}-{max(ratios):.1f})"
        table.append((same[0]["row"], *middle[:1], spread, *middle[1:]))
    header = ("row", "words/s", "times plain", "p50 ms", "p95 ms", "passes/entity", "peak MB")
    msg.table(table, header=header, divider=True, aligns=("l", *"rrrrrr"))


def main(
    data: Annotated[Optional[Path], typer.Argument(help="Folder of corpora, JSONL")] = None,
    labels: Annotated[Optional[Path], typer.Argument(help="Types of each corpus, JSON")] = None,
    limit: Annotated[int, typer.Option(help="Texts of each corpus")] = 40,
    rounds: Annotated[int, typer.Option(help="How often all is measured")] = 3,
    encoders: Annotated[
        Optional[Path], typer.Option(help="Python of an environment with gliner, see encoders.py")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where to write the results")] = Path(
        "benchmarks/speed.json"
    ),
    job: Annotated[Optional[Path], typer.Option(hidden=True)] = None,
    row: Annotated[Optional[str], typer.Option(hidden=True)] = None,
) -> None:
    if job and row:
        print(json.dumps(run_row(row, job)))
        return
    if data is None or labels is None:
        raise typer.BadParameter("Name the folder of corpora and the file of their types.")
    types = srsly.read_json(labels)
    corpora = []
    for name in CROSSNER:
        texts = [text.text for text in read_texts(data / f"{name}.jsonl", limit + SINGLES)]
        parts = {"texts": texts[:limit], "singles": texts[limit:]}
        corpora.append({"name": name, "labels": types[name], **parts})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "job.json"
        settings = {"threads": THREADS, "batch_size": BATCH, "plain": None}
        srsly.write_json(path, {"corpora": corpora, **settings})
        measured = []
        for _ in range(rounds):
            measured.append(run_all(path, encoders, list(ROWS)))
            result = {"machine": machine(), "texts_of_each": limit, "rounds": measured}
            srsly.write_json(out, result)
    show(measured)


if __name__ == "__main__":
    typer.run(main)
