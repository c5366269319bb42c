"""Train an adapter with transformers' Trainer and peft."""

import logging
import random
import shutil
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Callable, Dict, List, Optional, Sequence

import srsly
import torch
from accelerate.utils import broadcast_object_list
from datasets import Dataset
from peft import PeftModel
from transformers import (
    Trainer,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_utils import get_last_checkpoint

from ..corpus.records import Record, read_records
from ..errors import Errors, Warnings
from ..generation.adapters import AdapterInfo, read_info, write_info
from ..generation.checkpoints import Base, resolve_adapter, resolve_base
from ..generation.confidence import Confidences, read_confidences, store_confidences
from ..generation.encoding import load_tokenizer
from ..generation.local import LocalGenerator
from .confidence import fit_confidences
from .examples import AnswerLoss, encode_records
from .model import build_model, with_adapter
from .packing import PackingCollator, pack
from .selection import Answered, answer_records, score_answers
from .settings import TrainSettings

logger = logging.getLogger("spacy_nerllm")

# How much the loss counts beside F1: between answers that are as good, nothing else.
_LOSS_COUNTS = 1e-4


def train_adapter(settings: TrainSettings) -> Dict[str, Any]:
    """Train an adapter and write OUT/best, OUT/last and what was logged, OUT/log.jsonl.

    settings (TrainSettings): All settings of the run.
    RETURNS (Dict[str, Any]): "steps", "train_loss", "eval_loss" and "eval_f1" of the best
        checkpoint, "packs" of records in one epoch, and "processes".
    RAISES (ValueError): If no record fits into max_length.
    """
    base = resolve_base(settings.model_name)
    settings = with_adapter(settings, base)
    tokenizer = load_tokenizer(base.path)
    train_set = _encode(list(read_records(settings.train_file)), tokenizer, settings, "train_file")
    val_records = _drawn(list(read_records(settings.val_file)), settings)
    val_set = _encode(val_records, tokenizer, settings, "val_file")
    model = build_model(base, settings)
    trainer = _AdapterTrainer(
        partial(_answer, base, settings, val_records),
        partial(fit_confidences, before=_confidences_before(settings, base)),
        model=model,
        args=_training_arguments(settings),
        train_dataset=train_set,
        eval_dataset=val_set,
        data_collator=PackingCollator(),
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
        srsly.write_jsonl(settings.output_dir / "log.jsonl", state.log_history)
    best = _evaluation(state, _steps(state)["best"])
    return {
        "steps": state.global_step,
        "train_loss": _last_loss(state),
        "eval_loss": best["eval_loss"],
        "eval_f1": best["eval_f1"],
        "packs": len(train_set),
        "processes": trainer.args.world_size,
    }


class _AdapterTrainer(Trainer):
    """Lets the adapter answer at each validation."""

    def __init__(
        self,
        answer: Callable[[PeftModel], List[Answered]],
        fit: Callable[[List[Answered]], Confidences],
        **kwargs: Any,
    ) -> None:
        """answer (Callable[[PeftModel], List[Answered]]): What an adapter answers.
        fit (Callable[[List[Answered]], Confidences]): What its probabilities are worth.
        **kwargs (Any): As `Trainer`.
        """
        super().__init__(**kwargs)
        self._answer = answer
        self._fit = fit

    def evaluate(self, *args: Any, **kwargs: Any) -> Dict[str, float]:
        metrics = super().evaluate(*args, **kwargs)
        # One process answers for all, and all must come to the same choice.
        scores = [{}]
        if self.is_world_process_zero():
            answered = self._answer(self.accelerator.unwrap_model(self.model))
            confidences = store_confidences({}, self._fit(answered))
            scores = [{"eval_f1": score_answers(answered), "eval_confidences": confidences}]
        broadcast_object_list(scores)
        choice = scores[0]["eval_f1"] - _LOSS_COUNTS * metrics["eval_loss"]
        self.log({"eval_loss": metrics["eval_loss"], "eval_choice": choice, **scores[0]})
        return {**metrics, "eval_choice": choice}


def _confidences_before(settings: TrainSettings, base: Base) -> Confidences:
    """Those of the adapter to go on from."""
    if settings.adapter is None:
        return Confidences()
    return read_confidences(read_info(resolve_adapter(settings.adapter), base).extra)


def _answer(
    base: Base, settings: TrainSettings, records: Sequence[Record], model: PeftModel
) -> List[Answered]:
    with TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        write_info(Path(folder), _info(base, settings))
        device = "cuda" if torch.cuda.is_available() else "cpu"
        # Loading draws random numbers, which the training is not to notice.
        with torch.random.fork_rng():
            generator = LocalGenerator.load(
                settings.model_name, Path(folder), device, dtype="float32"
            )
        return list(answer_records(generator, records, settings.max_length))


def _evaluation(state: TrainerState, step: int) -> Dict[str, Any]:
    """What was logged of a checkpoint."""
    entries = state.log_history
    return next(line for line in entries if line["step"] == step and "eval_choice" in line)


def _steps(state: TrainerState) -> Dict[str, int]:
    """Step of the best checkpoint and of the last."""
    best = state.best_model_checkpoint
    step = int(Path(best).name.rpartition("-")[2]) if best else state.global_step
    return {"best": step, "last": state.global_step}


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


def _drawn(records: List[Record], settings: TrainSettings) -> List[Record]:
    if 0 < settings.val_records < len(records):
        return random.Random(settings.seed).sample(records, settings.val_records)
    return records


def _encode(
    records: Sequence[Record], tokenizer: Any, settings: TrainSettings, file: str
) -> Dataset:
    path = getattr(settings, file)
    encoded = encode_records(
        records, tokenizer, settings.system_prompt, settings.max_length, str(path)
    )
    if not encoded:
        raise ValueError(Errors.E060.format(path=path, max_length=settings.max_length))
    return Dataset.from_list(pack(encoded, settings.batch_tokens, settings.seed))


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
        metric_for_best_model="eval_choice",
        greater_is_better=True,
        logging_steps=10,
        report_to=[],
        # While one process answers, the others wait.
        ddp_timeout=4 * 3600,
        seed=settings.seed,
    )


def _save_adapters(state: TrainerState, base: Base, settings: TrainSettings) -> None:
    """Write best/ and last/ from their checkpoints."""
    for name, step in _steps(state).items():
        path = settings.output_dir / name
        path.mkdir(exist_ok=True)
        for file in ("adapter_config.json", "adapter_model.safetensors"):
            shutil.copy(_checkpoints(settings) / f"checkpoint-{step}" / file, path / file)
        info = _info(base, settings)
        info.extra = _evaluation(state, step)["eval_confidences"]
        write_info(path, info)


def _info(base: Base, settings: TrainSettings) -> AdapterInfo:
    return AdapterInfo(
        system_prompt=settings.system_prompt,
        base_id=base.id,
        base_sha256=base.sha256,
        method="dora" if settings.dora else "lora",
    )
