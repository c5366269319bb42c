"""What an adapter says of itself, in nerllm.json beside its weights."""

from pathlib import Path
from typing import Any, Dict, Literal

import srsly
from pydantic import BaseModel, ConfigDict

from ..entity_map import FORMAT_VERSION, SYSTEM_PROMPT
from ..errors import Errors
from .checkpoints import Base

_FILE = "nerllm.json"


class AdapterInfo(BaseModel):
    """What an adapter was trained for.

    format_version (int): Of prompt and map.
    system_prompt (str): The instruction that it was trained with.
    base_id (str): The base model.
    base_sha256 (str): Of the base model's weights.
    method (str): "dora" or "lora".
    extra (Dict[str, Any]): Room for what else is stored with an adapter, such as calibration.
    """

    model_config = ConfigDict(extra="forbid")

    format_version: int = FORMAT_VERSION
    system_prompt: str = SYSTEM_PROMPT
    base_id: str
    base_sha256: str
    method: Literal["dora", "lora"]
    extra: Dict[str, Any] = {}


def write_info(path: Path, info: AdapterInfo) -> None:
    """Store an adapter's info in its folder.

    path (Path): The adapter's folder.
    info (AdapterInfo): Its info.
    """
    srsly.write_json(path / _FILE, info.model_dump())


def read_info(path: Path, base: Base) -> AdapterInfo:
    """Read an adapter's info and make sure that it fits the base.

    path (Path): The adapter's folder.
    base (Base): The base model to load it on.
    RETURNS (AdapterInfo): Its info.
    RAISES (FileNotFoundError): If there is none.
    RAISES (ValueError): If it is of another base or of another format.
    """
    if not (path / _FILE).is_file():
        raise FileNotFoundError(Errors.E023.format(path=path, file=_FILE, kind="adapter of nerllm"))
    stored = srsly.read_json(path / _FILE)
    if stored.get("format_version") != FORMAT_VERSION:
        raise ValueError(
            Errors.E025.format(
                adapter=str(path), found=stored.get("format_version"), known=FORMAT_VERSION
            )
        )
    info = AdapterInfo.model_validate(stored)
    if info.base_sha256 != base.sha256:
        message = Errors.E027 if info.base_id == base.id else Errors.E024
        raise ValueError(
            message.format(
                adapter=str(path),
                trained_on=info.base_id,
                trained_sha=info.base_sha256,
                base=base.id,
                path=base.path,
                base_sha=base.sha256,
            )
        )
    return info
