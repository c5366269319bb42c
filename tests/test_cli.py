"""`python -m spacy_nerllm tag` on the tiny model."""

from pathlib import Path
from typing import List

import pytest
import srsly
from typer.testing import CliRunner

from spacy_nerllm.cli import app


@pytest.fixture
def model(tiny_base: Path, tiny_adapter: Path) -> List[str]:
    return ["--base", str(tiny_base), "--adapter", str(tiny_adapter)]


def test_every_paragraph_of_every_file_is_written(tmp_path: Path, model: List[str]):
    (tmp_path / "a.txt").write_text("One is here.\n\nTwo is there.\n", "utf8")
    (tmp_path / "b.jsonl").write_text('{"text": "Three."}\n', "utf8")
    files = [str(tmp_path / "a.txt"), str(tmp_path / "b.jsonl")]
    result = CliRunner().invoke(app, ["tag", *files, "--output", str(tmp_path / "o.jsonl"), *model])
    assert result.exit_code == 0, result.output
    texts = [line["text"] for line in srsly.read_jsonl(tmp_path / "o.jsonl")]
    assert texts == ["One is here.\n\n", "Two is there.\n", "Three."]


def test_without_output_only_json_is_printed(tmp_path: Path, model: List[str]):
    (tmp_path / "a.txt").write_text("One is here.", "utf8")
    result = CliRunner().invoke(app, ["tag", str(tmp_path / "a.txt"), *model])
    assert result.exit_code == 0, result.output
    assert srsly.json_loads(result.stdout)["text"] == "One is here."


def test_a_missing_file_is_named():
    result = CliRunner().invoke(app, ["tag", "nowhere.txt"])
    assert result.exit_code == 2
    assert "nowhere.txt" in result.output


def test_what_a_saved_pipeline_has_is_not_given_again(tmp_path: Path, model: List[str]):
    (tmp_path / "a.txt").write_text("One is here.", "utf8")
    given = ["tag", str(tmp_path / "a.txt"), "--pipeline", "p", "--lang", "en", *model]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 2
    assert all(name in result.output for name in ("--lang", "--base", "--adapter"))
