"""Short trainings that differ in one setting: which rank, rate and method to train longer with."""

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Dict, List

import srsly
import typer
from wasabi import msg

from spacy_nerllm.evaluation.machine import machine

TRAIN = Path(__file__).parents[1] / "scripts" / "train_ner_lora_accelerate.py"

# On a CPU one factor at a time, from the first on; on a GPU all of them with each other.
FIRST = {"method": "dora", "lora_r": 16, "lr": 1e-3}
OTHERS: Dict[str, List[Any]] = {"method": ["lora"], "lora_r": [8, 32], "lr": [5e-4, 2e-3]}


def variants(grid: bool) -> List[Dict[str, Any]]:
    if not grid:
        changed = [{**FIRST, key: value} for key, values in OTHERS.items() for value in values]
        return [FIRST, *changed]
    return [
        {"method": method, "lora_r": rank, "lr": lr}
        for method in [FIRST["method"], *OTHERS["method"]]
        for rank in [FIRST["lora_r"], *OTHERS["lora_r"]]
        for lr in [FIRST["lr"], *OTHERS["lr"]]
    ]


def train(variant: Dict[str, Any], options: List[str], work: Path) -> Dict[str, Any]:
    """RETURNS (Dict[str, Any]): What the training reports, and its seconds."""
    metrics = work / "metrics.json"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    own = [f"--{variant['method']}", "--lora_r", str(variant["lora_r"]), "--lr", str(variant["lr"])]
    # The update is scaled by alpha / rank: the same scale for each rank.
    own += ["--lora_alpha", str(2 * variant["lora_r"])]
    where = ["--output_dir", str(work / "adapter"), "--metrics", str(metrics)]
    begin = time.perf_counter()
    subprocess.run([sys.executable, str(TRAIN), *options, *own, *where], check=True)
    seconds = time.perf_counter() - begin
    return {**srsly.read_json(metrics), "seconds": round(seconds)}


def main(
    train_file: Annotated[Path, typer.Argument(help="Records to train on, JSONL")],
    val_file: Annotated[Path, typer.Argument(help="Records to compare on, JSONL")],
    work: Annotated[Path, typer.Argument(help="Folder for adapters; emptied for each")],
    model_name: Annotated[str, typer.Option(help="Base model")] = "smollm2-135m",
    tokens: Annotated[int, typer.Option(help="Tokens that each is trained on")] = 60_000,
    batch_tokens: Annotated[int, typer.Option(help="Tokens of a batch")] = 2048,
    grid: Annotated[bool, typer.Option("--grid", help="All combinations, on a GPU")] = False,
    precision: Annotated[str, typer.Option(help="cpu_bf16, bf16 or none")] = "cpu_bf16",
    out: Annotated[Path, typer.Option(help="Results; what is in it is not run again")] = Path(
        "benchmarks/sweep.json"
    ),
) -> None:
    steps = round(tokens / batch_tokens)
    options = ["--model_name", model_name, "--train_file", str(train_file)]
    options += ["--val_file", str(val_file), "--val_records", "0", "--train_bs", "1"]
    options += ["--batch_tokens", str(batch_tokens), "--max_steps", str(steps)]
    options += ["--eval_steps", str(steps)]
    options += [] if precision == "none" else [f"--{precision}"]
    results = srsly.read_json(out) if out.exists() else {"machine": machine(), "runs": []}
    for variant in variants(grid):
        known = {"model": model_name, "tokens": tokens, **variant}
        if not any(known.items() <= run.items() for run in results["runs"]):
            results["runs"].append({**known, **train(variant, options, work)})
            srsly.write_json(out, results)
    keys = ("method", "lora_r", "lr", "eval_f1", "eval_loss", "train_loss", "seconds")
    rows = [[run[key] for key in keys] for run in results["runs"]]
    msg.table(rows, header=keys, divider=True)


if __name__ == "__main__":
    typer.run(main)
