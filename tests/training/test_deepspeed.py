"""What is "auto" in the DeepSpeed config is filled in by the Trainer, and DeepSpeed takes it."""

from pathlib import Path
from typing import Any, Dict, Iterator

import pytest
from accelerate.utils.deepspeed import HfDeepSpeedConfig
from transformers import TrainingArguments

CONFIG = Path(__file__).parents[2] / "configs" / "deepspeed" / "zero2.json"

# By `HfTrainerDeepSpeedConfig.trainer_config_process` of transformers.
FILLED_BY_THE_TRAINER = {
    "train_batch_size",
    "train_micro_batch_size_per_gpu",
    "gradient_accumulation_steps",
    "gradient_clipping",
    "bf16.enabled",
}


def _autos(config: Dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in config.items():
        if isinstance(value, dict):
            yield from _autos(value, f"{prefix}{key}.")
        elif value == "auto":
            yield prefix + key


def test_it_shards_optimizer_and_gradients_and_leaves_to_the_trainer_what_it_knows():
    config = HfDeepSpeedConfig(str(CONFIG))
    assert config.is_zero2() and not config.is_offload()
    assert set(_autos(config.config)) <= FILLED_BY_THE_TRAINER


def test_deepspeed_takes_it(tmp_path: Path):
    deepspeed = pytest.importorskip("deepspeed", reason="DeepSpeed is not installed")
    arguments = TrainingArguments(
        str(tmp_path), deepspeed=str(CONFIG), per_device_train_batch_size=2, use_cpu=True
    )
    filled = arguments.hf_deepspeed_config.config
    assert not list(_autos(filled))
    checked = deepspeed.DeepSpeedConfig(filled)
    assert checked.train_micro_batch_size_per_gpu == 2 and checked.zero_config.stage == 2
