"""What packing is worth: tokens a second of training, packed against padded, in one run."""

import random
import statistics
import time
from pathlib import Path
from typing import Annotated, Any, Dict, List, Sequence

import srsly
import torch
import typer
from wasabi import msg

from spacy_nerllm.corpus.records import read_records
from spacy_nerllm.entity_map import SYSTEM_PROMPT
from spacy_nerllm.evaluation.machine import machine
from spacy_nerllm.generation.checkpoints import resolve_base
from spacy_nerllm.generation.encoding import load_tokenizer
from spacy_nerllm.training.examples import IGNORED, AnswerLoss, Encoded, encode_records
from spacy_nerllm.training.model import build_model
from spacy_nerllm.training.packing import PackingCollator, pack
from spacy_nerllm.training.settings import TrainSettings


def padded(examples: Sequence[Encoded], pad_id: int) -> Dict[str, Any]:
    """A batch of rows that are filled up to the longest."""
    width = max(example["length"] for example in examples)
    rows, labels = [], []
    for example in examples:
        fill = width - example["length"]
        rows.append([*example["prompt_ids"], *example["answer_ids"], *[pad_id] * fill])
        asked = [IGNORED] * len(example["prompt_ids"])
        labels.append([*asked, *example["answer_ids"], *[IGNORED] * fill])
    inputs = {"input_ids": torch.tensor(rows), "labels": torch.tensor(labels)}
    return {**inputs, "output_hidden_states": True, "logits_to_keep": 1}


def batches_of(encoded: List[Encoded], tokens: int, count: int, way: str) -> List[Dict[str, Any]]:
    """The first batches of about the same number of tokens, padding not counted."""
    if way == "packed":
        return [PackingCollator()([one]) for one in pack(encoded, tokens, 0)[:count]]
    shuffled = random.Random(0).sample(encoded, len(encoded))
    records = round(tokens / statistics.mean(example["length"] for example in encoded))
    starts = range(0, count * records, records)
    return [padded(shuffled[start : start + records], 0) for start in starts]


def train(model: Any, batches: List[Dict[str, Any]], bf16: bool) -> float:
    """RETURNS (float): Seconds of one step with each batch."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)
    loss_of = AnswerLoss(model.get_base_model().get_output_embeddings())
    start = time.perf_counter()
    for batch in batches:
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            outputs = model(**inputs)
            loss_of(outputs, batch["labels"]).backward()
        optimizer.step()
        optimizer.zero_grad()
    return time.perf_counter() - start


def main(
    train_file: Annotated[Path, typer.Argument(help="Records, JSONL")],
    model_name: Annotated[str, typer.Option(help="Base model")] = "smollm2-135m",
    tokens: Annotated[int, typer.Option(help="Tokens of a batch")] = 2048,
    batches: Annotated[int, typer.Option(help="Batches of each way")] = 4,
    rounds: Annotated[int, typer.Option(help="How often all is repeated")] = 3,
    bf16: Annotated[bool, typer.Option(help="Use bfloat16")] = True,
    out: Annotated[Path, typer.Option(help="Where to write the results")] = Path(
        "benchmarks/packing.json"
    ),
) -> None:
    base = resolve_base(model_name)
    tokenizer = load_tokenizer(base.path)
    encoded = encode_records(
        read_records(train_file), tokenizer, SYSTEM_PROMPT, 1024, str(train_file)
    )
    # Settings as of a training; the files are not read.
    settings = TrainSettings(
        model_name=model_name, train_file=train_file, val_file=train_file, output_dir=Path()
    )
    # way: (attention, how batches are made)
    ways = {
        "packed, each record for itself": (None, "packed"),
        "packed, masked": ("sdpa", "packed"),
        "padded": ("sdpa", "padded"),
    }
    rates: Dict[str, List[float]] = {name: [] for name in ways}
    model = build_model(base, settings)
    default = model.config._attn_implementation
    for _ in range(rounds):
        for name, (attention, way) in ways.items():
            model.set_attn_implementation(attention or default)
            made = batches_of(encoded, tokens, batches, way)
            counts = sum(example_tokens(batch) for batch in made)
            train(model, made[:1], bf16)
            rates[name].append(counts / train(model, made, bf16))
    base_rates = rates["padded"]
    rows = [
        {
            "way": name,
            "tokens_per_second": round(statistics.median(values)),
            "to_padded": [round(a / b, 2) for a, b in zip(values, base_rates, strict=True)],
        }
        for name, values in rates.items()
    ]
    srsly.write_json(out, {"machine": machine(), "tokens": tokens, "bf16": bf16, "rows": rows})
    msg.table([tuple(row.values()) for row in rows], header=tuple(rows[0]), divider=True)


def example_tokens(batch: Dict[str, Any]) -> int:
    """Tokens that are no padding: padding is id 0, which no record holds."""
    return int((batch["input_ids"] != 0).sum())


if __name__ == "__main__":
    typer.run(main)
