"""Folders that are made once and kept in the user's cache, whole or not at all."""

import hashlib
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Callable

import srsly

from ..errors import Warnings

logger = logging.getLogger("spacy_nerllm")

# Written last into a folder: what it holds, and from what it was made.
_MANIFEST = "manifest.json"


def cache_dir() -> Path:
    """Where converted base models and quantised ones are kept.

    RETURNS (Path): $SPACY_NERLLM_CACHE, or spacy_nerllm in the user's cache folder.
    """
    own = os.environ.get("SPACY_NERLLM_CACHE")
    shared = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(own) if own else Path(shared) / "spacy_nerllm"


def file_sha256(path: Path) -> str:
    """Hash a file.

    path (Path): The file.
    RETURNS (str): SHA-256 in hexadecimal.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def keep(path: Path, made_from: str, make: Callable[[Path], None]) -> Path:
    """Make a folder on first use, and again if what is kept is damaged or of another origin.

    path (Path): The folder.
    made_from (str): Hash of what it is made from.
    make (Callable[[Path], None]): Makes a folder at the path it is given.
    RETURNS (Path): The folder.
    RAISES (OSError): If it is not there and cannot be written.
    """
    from filelock import FileLock

    # What is whole is used as it is: a shared cache may be one that this user cannot write to.
    if _damage(path, made_from):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            # Another process may have made it meanwhile.
            problem = _damage(path, made_from)
            if problem and path.exists():
                logger.warning(Warnings.W007.format(path=path, problem=problem))
            if problem:
                _make(path, made_from, make)
    return path


def _damage(path: Path, made_from: str) -> str:
    """What is wrong with a kept folder, or an empty string."""
    if not (path / _MANIFEST).is_file():
        return "it was never finished"
    try:
        manifest = srsly.read_json(path / _MANIFEST)
        origin, hashes = manifest["made_from"], manifest["files"]
    except (ValueError, KeyError, TypeError) as error:
        return f"{_MANIFEST} cannot be read: {error!r}"
    if origin != made_from:
        return "it was made from another file"
    for file, sha256 in hashes.items():
        if not (path / file).is_file() or file_sha256(path / file) != sha256:
            return f"{file} was changed"
    return ""


def _make(path: Path, made_from: str, make: Callable[[Path], None]) -> None:
    """Make it in a folder beside, which takes its place when it is whole."""
    with tempfile.TemporaryDirectory(dir=path.parent) as work:
        made = Path(work) / "made"
        make(made)
        hashes = {file.name: file_sha256(file) for file in sorted(made.iterdir())}
        srsly.write_json(made / _MANIFEST, {"made_from": made_from, "files": hashes})
        if path.exists():
            shutil.rmtree(path)
        made.replace(path)
