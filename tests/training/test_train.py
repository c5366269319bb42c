"""A training of a few steps on a tiny model: what it learns, writes, records and resumes."""

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import pytest
import srsly
import torch
from safetensors.torch import load_file

from spacy_nerllm.corpus.records import Record
from spacy_nerllm.entity_map import FORMAT_VERSION, SYSTEM_PROMPT
from spacy_nerllm.generation.checkpoints import weights_sha256
from spacy_nerllm.generation.confidence import Confidence, Confidences, read_confidences
from spacy_nerllm.generation.local import LocalGenerator
from spacy_nerllm.generation.protocol import Answer
from spacy_nerllm.training import train as training
from spacy_nerllm.training.packing import PackingCollator
from spacy_nerllm.training.selection import answer_records, score_answers
from spacy_nerllm.training.settings import TrainSettings
from spacy_nerllm.training.train import train_adapter

ROOT = Path(__file__).parents[2]

PLACES = ["Warsaw", "Paris", "Berlin", "London", "Oslo", "Rome"]

FILES = {"adapter_config.json", "adapter_model.safetensors", "nerllm.json"}


def _write_records(path: Path, count: int) -> Path:
    lines = [
        {"input": f"{place} was {n}.", "output": {place: "place"}, "types": None}
        for n in range(count)
        for place in [PLACES[n % len(PLACES)]]
    ]
    srsly.write_jsonl(path, lines)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Path]:
    folder = tmp_path_factory.mktemp("data")
    return {
        "train_file": _write_records(folder / "train.jsonl", 24),
        "val_file": _write_records(folder / "val.jsonl", 4),
    }


Train = Callable[..., Dict[str, float]]


@pytest.fixture(scope="module")
def train(tiny_base: Path, data: Dict[str, Path]) -> Train:
    """Train with few small steps; settings can be given."""

    def run(output_dir: Path, **settings: Any) -> Dict[str, float]:
        known = {
            "model_name": str(tiny_base),
            "output_dir": output_dir,
            "train_bs": 4,
            "max_steps": 4,
            "eval_steps": 2,
            "lora_r": 4,
            "lr": 1e-2,
        }
        return train_adapter(TrainSettings(**{**data, **known, **settings}))

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, train: Train) -> Dict[str, Any]:
    """An undisturbed run of thirty steps."""
    folder = tmp_path_factory.mktemp("trained")
    return {"folder": folder, **train(folder, max_steps=30, eval_steps=10)}


def _evaluations(folder: Path) -> Dict[int, float]:
    last = max((folder / "checkpoints").glob("checkpoint-*"), key=lambda path: path.stat().st_mtime)
    state = srsly.read_json(last / "trainer_state.json")
    return {line["step"]: line["eval_loss"] for line in state["log_history"] if "eval_loss" in line}


def test_a_few_steps_lower_the_loss(trained: Dict[str, Any]):
    losses = _evaluations(trained["folder"])
    assert losses[30] < losses[10] * 0.8
    assert trained["eval_loss"] == pytest.approx(min(losses.values()))
    assert trained["steps"] == 30 and trained["packs"] == 24


@pytest.mark.parametrize("name", ["best", "last"])
def test_best_and_last_hold_an_adapter_and_nothing_else(trained: Dict[str, Any], name: str):
    assert {file.name for file in (trained["folder"] / name).iterdir()} == FILES


@pytest.mark.parametrize("name", ["best", "last"])
def test_best_and_last_can_be_loaded(trained: Dict[str, Any], tiny_base: Path, name: str):
    adapter = trained["folder"] / name
    generator = LocalGenerator.load(str(tiny_base), adapter, "cpu", "float32")
    prompt = generator.render("Paris was 1.", None)
    [answer] = generator.generate([prompt], None, max_new_tokens=20, batch_tokens=500)
    assert answer.ends


def _weights(folder: Path) -> Dict[str, torch.Tensor]:
    return load_file(folder / "adapter_model.safetensors")


def test_best_is_the_checkpoint_of_the_least_loss_and_last_the_last(train: Train, tmp_path: Path):
    # What is learned makes these answers less and less likely.
    srsly.write_jsonl(tmp_path / "val.jsonl", [{"input": "Nothing.", "output": {}}])
    train(tmp_path, val_file=tmp_path / "val.jsonl", max_steps=20, eval_steps=5, lr=0.03)
    losses = _evaluations(tmp_path)
    best = min(losses, key=losses.__getitem__)
    assert best != 20
    for name, step in (("best", best), ("last", 20)):
        kept = _weights(tmp_path / "checkpoints" / f"checkpoint-{step}")
        torch.testing.assert_close(_weights(tmp_path / name), kept)


def test_best_is_the_checkpoint_of_the_best_answers(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    scores = iter([0.2, 0.8, 0.3])
    monkeypatch.setattr(training, "score_answers", lambda _: next(scores))
    result = train(tmp_path, max_steps=6, eval_steps=2)
    losses = _evaluations(tmp_path)
    assert min(losses, key=losses.__getitem__) != 4
    assert result["eval_f1"] == 0.8 and result["eval_loss"] == losses[4]
    kept = _weights(tmp_path / "checkpoints" / "checkpoint-4")
    torch.testing.assert_close(_weights(tmp_path / "best"), kept)


def _score(generator: Any, records: List[Record]) -> float:
    return score_answers(answer_records(generator, records, 100))


def test_confidences_of_best_and_last_are_those_of_their_steps(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    lines = iter([Confidences(Confidence(2.0, 0.1)), Confidences(Confidence(3.0, 0.2))])
    scores = iter([0.8, 0.3])
    monkeypatch.setattr(training, "fit_confidences", lambda _, before: next(lines))
    monkeypatch.setattr(training, "score_answers", lambda _: next(scores))
    train(tmp_path, max_steps=4, eval_steps=2)
    for name, slope in (("best", 2.0), ("last", 3.0)):
        extra = srsly.read_json(tmp_path / name / "nerllm.json")["extra"]
        assert read_confidences(extra).open.slope == slope


def test_answers_are_scored_by_their_pairs(monkeypatch: pytest.MonkeyPatch):
    class Generator:
        """Finds the place of each text, and once a wrong one."""

        def render(self, text: str, types: Any) -> Any:
            return text, types

        def generate(self, prompts: Any, types: Any, **_: Any) -> Any:
            assert all(asked == types for _, asked in prompts)
            texts = [text.split()[0] for text, _ in prompts]
            answers = [f'{{"{word}": "place"}}' for word in texts]
            return [Answer(answer, [len(answer)], [-0.5], True) for answer in answers]

    def record(text: str, output: Dict[str, str], types: Any = None) -> Record:
        return Record(input=text, output=output, types=types, lang="en", source="")

    right = [record("Rome is old", {"Rome": "place"}), record("Oslo", {"Oslo": "place"}, ["place"])]
    assert _score(Generator(), right) == 1
    wrong = [
        *right,
        record("Ann slept", {}),
        record("Bern, Bonn", {"Bern,": "city", "Bonn": "city"}),
    ]
    # Two are right, of four found and four wanted.
    assert _score(Generator(), wrong) == 0.5
    assert _score(Generator(), []) == 1


@pytest.mark.parametrize("dora", [True, False])
def test_the_method_is_recorded(train: Train, tmp_path: Path, tiny_base: Path, dora: bool):
    train(tmp_path, max_steps=2, dora=dora)
    for name in ("best", "last"):
        info = srsly.read_json(tmp_path / name / "nerllm.json")
        assert info["method"] == ("dora" if dora else "lora")
        assert info["base_sha256"] == weights_sha256(tiny_base)
        assert info["format_version"] == FORMAT_VERSION
        assert info["system_prompt"] == SYSTEM_PROMPT
        assert srsly.read_json(tmp_path / name / "adapter_config.json")["use_dora"] is dora
        magnitudes = [key for key in _weights(tmp_path / name) if "magnitude" in key]
        assert bool(magnitudes) is dora


def test_the_instruction_is_recorded(train: Train, tmp_path: Path):
    train(tmp_path, max_steps=2, system_prompt="Find names.")
    assert srsly.read_json(tmp_path / "best" / "nerllm.json")["system_prompt"] == "Find names."


def test_no_path_of_the_machine_is_recorded(
    train: Train, tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tiny_base.parent)
    train(tmp_path, max_steps=2, model_name=tiny_base.name)
    for name in ("best", "last"):
        for file in ("adapter_config.json", "nerllm.json"):
            content = (tmp_path / name / file).read_text()
            assert str(tiny_base.parent) not in content and str(Path.home()) not in content
        config = srsly.read_json(tmp_path / name / "adapter_config.json")
        assert config["base_model_name_or_path"] == tiny_base.name


def test_only_the_named_projections_are_adapted(train: Train, tmp_path: Path):
    train(tmp_path, max_steps=2, target_modules=["q_proj"])
    assert all("q_proj" in key for key in _weights(tmp_path / "best"))


def test_an_adapter_can_be_gone_on_from(train: Train, tmp_path: Path):
    settings = {"dora": False, "lora_r": 2, "target_modules": ["q_proj"], "max_steps": 2}
    train(tmp_path / "first", system_prompt="Find names.", **settings)
    # With a rate of nothing it stays what it was, and with one it does not.
    for name, lr in (("same", 0.0), ("other", 1e-2)):
        adapter = str(tmp_path / "first" / "last")
        train(tmp_path / name, adapter=adapter, lr=lr, max_steps=2)
    first, same, other = (_weights(tmp_path / name / "last") for name in ("first", "same", "other"))
    torch.testing.assert_close(same, first)
    assert first.keys() == other.keys()
    assert any(not torch.equal(first[key], other[key]) for key in first)
    info = srsly.read_json(tmp_path / "other" / "last" / "nerllm.json")
    assert (info["method"], info["system_prompt"]) == ("lora", "Find names.")


def test_an_adapter_of_another_base_is_not_gone_on_from(train: Train, tmp_path: Path):
    with pytest.raises(ValueError, match="was trained on"):
        train(tmp_path, adapter="default")


def test_the_same_seed_gives_the_same_weights(train: Train, tmp_path: Path):
    for folder, seed in (("a", 0), ("b", 0), ("c", 1)):
        train(tmp_path / folder, max_steps=2, seed=seed)
    first, second, other = (_weights(tmp_path / name / "last") for name in "abc")
    torch.testing.assert_close(first, second)
    assert any(not torch.equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("batch_tokens", [0, 600])
@pytest.mark.parametrize("stopped_at", [2, 4])
def test_a_resumed_run_ends_as_an_undisturbed_one_to_the_bit(
    train: Train, tmp_path: Path, batch_tokens: int, stopped_at: int
):
    settings = {"max_steps": 6, "eval_steps": 2, "train_bs": 2, "batch_tokens": batch_tokens}
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    expected = train(whole, **settings)
    _stop_after(stopped_at, train, broken, **settings)
    resumed = train(broken, resume=True, **settings)
    assert resumed["steps"] == expected["steps"] == 6
    assert resumed["eval_loss"] == expected["eval_loss"]
    for name in ("best", "last"):
        found, wanted = _weights(broken / name), _weights(whole / name)
        assert all(torch.equal(found[key], wanted[key]) for key in wanted)


def _stop_after(step: int, train: Train, folder: Path, **settings: Any) -> None:
    """Train, and lose the process while the step after that one is computed."""

    class Killed(Exception):
        pass

    def kill(collator: PackingCollator, packs: Any) -> Dict[str, Any]:
        if (folder / "checkpoints" / f"checkpoint-{step}").is_dir():
            raise Killed
        return collate(collator, packs)

    collate = PackingCollator.__call__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PackingCollator, "__call__", kill)
        with pytest.raises(Killed):
            train(folder, **settings)


@pytest.mark.parametrize("length", [{"max_steps": 4}, {"max_steps": -1, "epochs": 1}])
def test_to_resume_a_finished_run_changes_nothing(
    train: Train, tmp_path: Path, length: Dict[str, Any]
):
    steps = train(tmp_path, **length)["steps"]
    before = _weights(tmp_path / "last")
    assert train(tmp_path, resume=True, **length)["steps"] == steps
    torch.testing.assert_close(_weights(tmp_path / "last"), before)


def test_nothing_to_resume_from_is_said(train: Train, tmp_path: Path):
    with pytest.raises(FileNotFoundError, match="Leave out --resume"):
        train(tmp_path, resume=True)


def test_a_shorter_run_can_start_anew_in_the_folder_of_a_longer(train: Train, tmp_path: Path):
    train(tmp_path, max_steps=8)
    for path in (tmp_path / "checkpoints").iterdir():
        os.utime(path, (0, 0))  # long ago
    train(tmp_path, max_steps=4, seed=1)
    train(tmp_path / "alone", max_steps=4, seed=1)
    for name in ("best", "last"):
        torch.testing.assert_close(_weights(tmp_path / name), _weights(tmp_path / "alone" / name))


def test_a_run_that_ends_before_the_first_validation_is_validated_at_its_end(
    train: Train, tmp_path: Path
):
    result = train(tmp_path, max_steps=3, eval_steps=50)
    assert isinstance(result["eval_loss"], float)


def test_records_that_are_too_long_are_counted(
    train: Train, tmp_path: Path, data: Dict[str, Path], caplog: pytest.LogCaptureFixture
):
    long = tmp_path / "long.jsonl"
    lines = [*srsly.read_jsonl(data["train_file"]), {"input": "x y " * 900, "output": {}}]
    srsly.write_jsonl(long, lines)
    with caplog.at_level(logging.WARNING, "spacy_nerllm"):
        train(tmp_path / "out", max_steps=2, train_file=long, max_length=400)
    assert f"1 of 25 records of {long} are longer than 400 tokens" in caplog.text


def test_no_record_that_fits_is_an_error(train: Train, tmp_path: Path):
    with pytest.raises(ValueError, match="fits into 5 tokens"):
        train(tmp_path, max_length=5)


def test_a_wrong_record_is_named_by_file_and_line(
    train: Train, tmp_path: Path, data: Dict[str, Path]
):
    wrong = tmp_path / "wrong.jsonl"
    content = data["train_file"].read_text().splitlines()[:2]
    wrong.write_text("\n".join([*content, json.dumps({"input": 1, "output": {}})]))
    with pytest.raises(ValueError, match=r"wrong\.jsonl:3: 'input' is 1"):
        train(tmp_path / "out", train_file=wrong)


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_bf16_without_a_gpu_is_warned_of_once(
    train: Train, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.WARNING, "spacy_nerllm"):
        train(tmp_path, max_steps=2, bf16=True)
    assert caplog.text.count("No GPU found") == 1
    assert {weight.dtype for weight in _weights(tmp_path / "best").values()} == {torch.float32}


def test_an_unknown_setting_is_refused():
    with pytest.raises(ValueError, match="learning_rate"):
        TrainSettings(
            model_name="a", train_file="b", val_file="c", output_dir="d", learning_rate=1.0
        )


def _launch(
    folder: Path, base: Path, launcher: Sequence[str], *options: str
) -> subprocess.CompletedProcess:
    """Run the script as the documentation says, with a copy of the base in the folder."""
    shutil.copytree(base, folder / "TINY", dirs_exist_ok=True)
    _write_records(folder / "train.jsonl", 24)
    _write_records(folder / "val.jsonl", 4)
    program = Path(sys.executable).with_name(launcher[0])
    command = [str(program), *launcher[1:], str(ROOT / "scripts/train_ner_lora_accelerate.py")]
    files = "--model_name TINY --train_file train.jsonl --val_file val.jsonl"
    return subprocess.run(
        [*command, *files.split(), *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
def test_the_command_line_works_without_a_gpu(tmp_path: Path, tiny_base: Path):
    options = "--output_dir OUT --epochs 2 --train_bs 2 --grad_accum 8 --bf16"
    done = _launch(tmp_path, tiny_base, ["accelerate", "launch"], *options.split())
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).count("No GPU found") == 1
    for name in ("best", "last"):
        assert {file.name for file in (tmp_path / "OUT" / name).iterdir()} == FILES
        assert str(tmp_path) not in (tmp_path / "OUT" / name / "adapter_config.json").read_text()
    # 24 records in batches of 2, eight to a step: two steps in each of two epochs.
    state = srsly.read_json(tmp_path / "OUT/checkpoints/checkpoint-4/trainer_state.json")
    assert state["global_step"] == 4


@pytest.mark.slow
def test_two_processes_train_the_weights_of_one(tmp_path: Path, tiny_base: Path):
    common = "--max_steps 4 --eval_steps 2 --lr 1e-2 --lora_r 4 --batch_tokens 200"
    runs = {
        "one": (["python"], "--train_bs 2", 1),
        "two": (["torchrun", "--nproc_per_node", "2"], "--train_bs 1", 2),
    }
    for name, (launcher, batch, processes) in runs.items():
        options = f"--output_dir {name} --metrics {name}.json {batch} {common}"
        done = _launch(tmp_path, tiny_base, launcher, *options.split())
        assert done.returncode == 0, done.stderr
        assert srsly.read_json(tmp_path / f"{name}.json")["processes"] == processes
    for kept in ("best", "last"):
        one, two = (_weights(tmp_path / name / kept) for name in runs)
        torch.testing.assert_close(two, one, atol=1e-5, rtol=1e-3)
