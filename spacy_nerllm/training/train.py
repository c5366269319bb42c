"""Train an adapter with transformers' Trainer and peft."""

import logging
import shutil
from pathlib import Path
from typing import Any, Dict, List, Optional

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from pydantic import BaseModel, ConfigDict
from transformers import (
    AutoModelForCausalLM,
    Trainer,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_utils import get_last_checkpoint

from ..corpus.records import read_records
from ..entity_map import SYSTEM_PROMPT
from ..errors import Errors, Warnings
from ..generation.adapters import AdapterInfo, write_info
from ..generation.checkpoints import Base, resolve_base
from ..generation.encoding import load_tokenizer
from .examples import AnswerCollator, AnswerLoss, encode_records, group_by_tokens

logger = logging.getLogger("spacy_nerllm")

# Attention and MLP projections of Llama, Qwen, Mistral, Gemma and their kin.
PROJECTIONS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


class TrainSettings(BaseModel):
    """All settings of a training run.

    model_name (str): Base model: "smollm2-135m", a folder or a Hub id.
    train_file (Path): Records to train on, JSONL.
    val_file (Path): Records to choose the best checkpoint on, JSONL.
    output_dir (Path): Gets best/, last/ and the checkpoints.
    epochs (float): Passes over the records.
    max_steps (int): Optimizer steps, or -1 to go by epochs.
    train_bs (int): Records in a batch on one device; with batch_tokens, groups of records.
    batch_tokens (int): If over 0, records of similar length are trained in groups of about so
        many tokens, so that batches cost the same in time and memory.
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


def train_adapter(settings: TrainSettings) -> Dict[str, Any]:
    """Train an adapter and write OUT/best and OUT/last.

    settings (TrainSettings): All settings of the run.
    RETURNS (Dict[str, Any]): "steps", "train_loss", "eval_loss" of the best checkpoint, and
        "groups" of records in one epoch.
    RAISES (ValueError): If no record fits into max_length.
    """
    base = resolve_base(settings.model_name)
    tokenizer = load_tokenizer(base.path)
    train_set = _encode_file(settings.train_file, tokenizer, settings)
    val_set = _encode_file(settings.val_file, tokenizer, settings)
    model = _build_model(base, settings)
    pad_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    trainer = Trainer(
        model=model,
        args=_training_arguments(settings),
        train_dataset=train_set,
        eval_dataset=val_set,
        data_collator=AnswerCollator(pad_id),
        compute_loss_func=AnswerLoss(model.get_base_model().get_output_embeddings()),
    )
    checkpoint = _checkpoint_to_resume(settings)
    state = _state_of(checkpoint) if checkpoint else trainer.state
    # Resumed at its end, the Trainer would take one step more.
    if settings.max_steps < 0 or state.global_step < settings.max_steps:
        trainer.train(resume_from_checkpoint=checkpoint)
        state = trainer.state
    if trainer.is_world_process_zero():
        _save_adapters(state, base, settings)
    return {
        "steps": state.global_step,
        "train_loss": _last_loss(state),
        "eval_loss": state.best_metric,
        "groups": len(train_set),
    }


def _state_of(checkpoint: str) -> TrainerState:
    return TrainerState.load_from_json(str(Path(checkpoint) / "trainer_state.json"))


def _last_loss(state: TrainerState) -> Optional[float]:
    for entry in reversed(state.log_history):
        if "train_loss" in entry or "loss" in entry:
            return entry.get("train_loss", entry.get("loss"))
    return None


def _checkpoint_to_resume(settings: TrainSettings) -> Optional[str]:
    if not settings.resume:
        return None
    folder = _checkpoints(settings)
    last = get_last_checkpoint(folder) if folder.is_dir() else None
    if last is None:
        raise FileNotFoundError(Errors.E061.format(path=folder))
    return last


def _checkpoints(settings: TrainSettings) -> Path:
    return settings.output_dir / "checkpoints"


def _encode_file(path: Path, tokenizer: Any, settings: TrainSettings) -> Dataset:
    encoded = encode_records(
        read_records(path), tokenizer, settings.system_prompt, settings.max_length, str(path)
    )
    if not encoded:
        raise ValueError(Errors.E060.format(path=path, max_length=settings.max_length))
    # The Trainer groups by length only where this is a column of a data set.
    return Dataset.from_list(group_by_tokens(encoded, settings.batch_tokens, settings.seed))


def _build_model(base: Base, settings: TrainSettings) -> PeftModel:
    dtype = torch.bfloat16 if settings.bf16 and torch.cuda.is_available() else torch.float32
    torch.manual_seed(settings.seed)
    model = AutoModelForCausalLM.from_pretrained(base.path, dtype=dtype, use_safetensors=True)
    model.config.use_cache = False
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        # peft computes DoRA's base result once only without dropout.
        lora_dropout=0.0,
        use_dora=settings.dora,
        target_modules=settings.target_modules,
    )
    adapted = get_peft_model(model, config)
    adapted.peft_config["default"].base_model_name_or_path = base.id
    return adapted


def _training_arguments(settings: TrainSettings) -> TrainingArguments:
    on_gpu = torch.cuda.is_available()
    if settings.bf16 and not on_gpu and not settings.cpu_bf16:
        logger.warning(Warnings.W005)
    return TrainingArguments(
        output_dir=str(_checkpoints(settings)),
        num_train_epochs=settings.epochs,
        max_steps=settings.max_steps,
        per_device_train_batch_size=settings.train_bs,
        per_device_eval_batch_size=settings.train_bs,
        gradient_accumulation_steps=settings.grad_accum,
        learning_rate=settings.lr,
        lr_scheduler_type="cosine",
        warmup_steps=settings.warmup,
        bf16=settings.bf16 if on_gpu else settings.cpu_bf16,
        use_cpu=not on_gpu,
        train_sampling_strategy="random" if settings.batch_tokens else "group_by_length",
        remove_unused_columns=False,
        label_names=["labels"],
        prediction_loss_only=True,
        eval_strategy="steps",
        eval_steps=settings.eval_steps,
        save_strategy="steps",
        save_steps=settings.eval_steps,
        save_total_limit=2,
        # Keeps the best checkpoint among the few that stay.
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        logging_steps=10,
        report_to=[],
        seed=settings.seed,
    )


def _save_adapters(state: TrainerState, base: Base, settings: TrainSettings) -> None:
    """Write best/ and last/ from their checkpoints."""
    info = AdapterInfo(
        system_prompt=settings.system_prompt,
        base_id=base.id,
        base_sha256=base.sha256,
        method="dora" if settings.dora else "lora",
    )
    last = f"checkpoint-{state.global_step}"
    best = Path(state.best_model_checkpoint or last).name
    for name, checkpoint in (("best", best), ("last", last)):
        path = settings.output_dir / name
        path.mkdir(exist_ok=True)
        for file in ("adapter_config.json", "adapter_model.safetensors"):
            shutil.copy(_checkpoints(settings) / checkpoint / file, path / file)
        write_info(path, info)
