"""Train a LoRA or DoRA adapter; start it with `accelerate launch` for several devices."""

from pathlib import Path
from typing import Annotated, Optional

import srsly
import typer
from accelerate import PartialState
from wasabi import msg

from spacy_nerllm.entity_map import SYSTEM_PROMPT
from spacy_nerllm.generation.checkpoints import resolve_base
from spacy_nerllm.training.model import with_adapter
from spacy_nerllm.training.settings import PROJECTIONS, TrainSettings
from spacy_nerllm.training.train import train_adapter

_DEFAULT = {name: field.default for name, field in TrainSettings.model_fields.items()}


def option(help_text: str, name: str) -> typer.models.OptionInfo:
    return typer.Option(f"--{name}", help=help_text)


def main(
    model_name: Annotated[
        str, option("Base model: smollm2-135m, a folder or a Hub id", "model_name")
    ],
    train_file: Annotated[Path, option("Records to train on, JSONL", "train_file")],
    val_file: Annotated[Path, option("Records to choose the best checkpoint on", "val_file")],
    output_dir: Annotated[Path, option("Gets best/, last/ and checkpoints/", "output_dir")],
    val_records: Annotated[
        int, option("The most records to validate on, 0 for all", "val_records")
    ] = _DEFAULT["val_records"],
    adapter: Annotated[
        Optional[str], option("Adapter to go on from; a new one if not given", "adapter")
    ] = None,
    epochs: Annotated[float, option("Passes over the records", "epochs")] = _DEFAULT["epochs"],
    max_steps: Annotated[int, option("Steps, or -1 to go by epochs", "max_steps")] = _DEFAULT[
        "max_steps"
    ],
    train_bs: Annotated[int, option("Records in a batch on one device", "train_bs")] = _DEFAULT[
        "train_bs"
    ],
    batch_tokens: Annotated[
        int, option("Tokens of a pack of records, 0 for single records", "batch_tokens")
    ] = _DEFAULT["batch_tokens"],
    grad_accum: Annotated[int, option("Batches in a step", "grad_accum")] = _DEFAULT["grad_accum"],
    lr: Annotated[float, option("Highest learning rate", "lr")] = _DEFAULT["lr"],
    warmup: Annotated[
        float, option("Part of the steps in which the rate rises", "warmup")
    ] = _DEFAULT["warmup"],
    lora_r: Annotated[int, option("Rank", "lora_r")] = _DEFAULT["lora_r"],
    lora_alpha: Annotated[int, option("Scale", "lora_alpha")] = _DEFAULT["lora_alpha"],
    dora: Annotated[bool, typer.Option("--dora/--lora", help="DoRA or plain LoRA")] = _DEFAULT[
        "dora"
    ],
    target_modules: Annotated[
        str, option("Projections, comma-separated", "target_modules")
    ] = ",".join(PROJECTIONS),
    system_prompt: Annotated[str, option("The instruction", "system_prompt")] = SYSTEM_PROMPT,
    max_length: Annotated[int, option("The most tokens of a record", "max_length")] = _DEFAULT[
        "max_length"
    ],
    eval_steps: Annotated[int, option("Steps between validations", "eval_steps")] = _DEFAULT[
        "eval_steps"
    ],
    bf16: Annotated[bool, option("bfloat16 on a GPU", "bf16")] = False,
    cpu_bf16: Annotated[bool, option("bfloat16 on a CPU that has it", "cpu_bf16")] = False,
    resume: Annotated[bool, option("Go on from the last checkpoint", "resume")] = False,
    seed: Annotated[int, option("Of weights and order", "seed")] = _DEFAULT["seed"],
    metrics: Annotated[
        Optional[Path], option("Where to write losses and steps, JSON", "metrics")
    ] = None,
) -> None:
    given = {**locals(), "target_modules": [name.strip() for name in target_modules.split(",")]}
    settings = TrainSettings(**{name: given[name] for name in TrainSettings.model_fields})
    if adapter is not None:
        # To show what holds: an adapter to go on from brings settings of its own.
        settings = with_adapter(settings, resolve_base(model_name))
    main_process = PartialState().is_main_process
    if main_process:
        msg.table(settings.model_dump(), header=("setting", "value"), divider=True)
    result = train_adapter(settings)
    if not main_process:
        return
    if metrics is not None:
        srsly.write_json(metrics, result)
    msg.good(f"Adapters are in {output_dir}/best and {output_dir}/last", result)


if __name__ == "__main__":
    typer.run(main)
