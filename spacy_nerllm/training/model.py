"""The model to train: a base with an adapter."""

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import is_flash_attn_2_available

from ..generation.adapters import read_info
from ..generation.checkpoints import Base, resolve_adapter
from .packing import BY_RECORD
from .settings import TrainSettings


def _attention(dtype: torch.dtype) -> str:
    """The one that does not compute what a packed row hides."""
    if not torch.cuda.is_available():
        return BY_RECORD
    fast = is_flash_attn_2_available() and dtype == torch.bfloat16
    return "flash_attention_2" if fast else "sdpa"


def build_model(base: Base, settings: TrainSettings) -> PeftModel:
    """Put a new adapter on a base model.

    base (Base): The base model.
    settings (TrainSettings): Those of model and adapter count.
    RETURNS (PeftModel): The model to train.
    """
    dtype = torch.bfloat16 if settings.bf16 and torch.cuda.is_available() else torch.float32
    torch.manual_seed(settings.seed)
    model = AutoModelForCausalLM.from_pretrained(
        base.path, dtype=dtype, use_safetensors=True, attn_implementation=_attention(dtype)
    )
    model.config.use_cache = False
    adapted = _adapted(model, settings)
    adapted.peft_config["default"].base_model_name_or_path = base.id
    return adapted


def _adapted(model: PreTrainedModel, settings: TrainSettings) -> PeftModel:
    if settings.adapter is not None:
        path = resolve_adapter(settings.adapter)
        return PeftModel.from_pretrained(model, path, is_trainable=True)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        # peft computes DoRA's base result once only without dropout.
        lora_dropout=0.0,
        use_dora=settings.dora,
        target_modules=settings.target_modules,
    )
    return get_peft_model(model, config)


def with_adapter(settings: TrainSettings, base: Base) -> TrainSettings:
    """Take what the adapter to go on from determines.

    settings (TrainSettings): As given.
    base (Base): The base model.
    RETURNS (TrainSettings): As they hold.
    RAISES (OSError): If the adapter cannot be had.
    RAISES (ValueError): If it is of another base or format.
    """
    if settings.adapter is None:
        return settings
    path = resolve_adapter(settings.adapter)
    info = read_info(path, base)
    config = LoraConfig.from_pretrained(path)
    return settings.model_copy(
        update={
            "dora": config.use_dora,
            "lora_r": config.r,
            "lora_alpha": config.lora_alpha,
            "target_modules": sorted(config.target_modules),
            "system_prompt": info.system_prompt,
        }
    )
