"""The settings of a training run."""

from pathlib import Path
from typing import List, Optional

from pydantic import BaseModel, ConfigDict

from ..entity_map import SYSTEM_PROMPT

# Attention and MLP projections of Llama, Qwen, Mistral, Gemma and their kin.
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class TrainSettings(BaseModel):
    """All settings of a training run.

    model_name (str): Base model: "smollm2-135m", a folder or a Hub id.
    train_file (Path): Records to train on, JSONL.
    val_file (Path): Records to choose the best checkpoint on, JSONL: that whose answers have the
        highest F1, and of equal ones the least loss.
    val_records (int): The most of them to take, at random; 0 for all.
    output_dir (Path): Gets best/, last/, log.jsonl and the checkpoints.
    adapter (Optional[str]): Adapter to go on from: "default", a folder or a Hub id. Its method,
        rank, scale, projections and instruction then hold. None for a new one.
    epochs (float): Passes over the records.
    max_steps (int): Optimizer steps, or -1 to go by epochs.
    train_bs (int): Records in a batch on one device; with batch_tokens, packs of records.
    batch_tokens (int): If over 0, records are trained in packs of at most so many tokens, so that
        batches cost the same in time and memory.
    grad_accum (int): Batches in a step.
    lr (float): Highest learning rate, after the warm-up; it then falls as a cosine.
    warmup (float): Part of the steps in which the rate rises.
    lora_r (int): Rank.
    lora_alpha (int): Scale; the update is multiplied by lora_alpha / lora_r.
    dora (bool): Whether to learn magnitude and direction apart (DoRA, Liu et al., 2024,
        https://arxiv.org/abs/2402.09353), not plain LoRA.
    target_modules (List[str]): Names of the projections that are adapted.
    system_prompt (str): The instruction, which the adapter keeps.
    max_length (int): The most tokens of a record; longer ones are left out, with a warning.
    eval_steps (int): Steps between two validations; each also writes a checkpoint.
    bf16 (bool): Train in bfloat16 on a GPU.
    cpu_bf16 (bool): Use bfloat16 on a CPU too: about 1.6 times as fast where the CPU has it.
    resume (bool): Go on from the last checkpoint in output_dir.
    seed (int): Of weights and order.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_name: str
    train_file: Path
    val_file: Path
    output_dir: Path
    val_records: int = 100
    adapter: Optional[str] = None
    epochs: float = 3.0
    max_steps: int = -1
    train_bs: int = 8
    batch_tokens: int = 0
    grad_accum: int = 1
    lr: float = 1e-3
    warmup: float = 0.05
    lora_r: int = 16
    lora_alpha: int = 32
    dora: bool = True
    target_modules: List[str] = PROJECTIONS
    system_prompt: str = SYSTEM_PROMPT
    max_length: int = 1024
    eval_steps: int = 50
    bf16: bool = False
    cpu_bf16: bool = False
    resume: bool = False
    seed: int = 0
