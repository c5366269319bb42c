"""The spaCy project runs from raw passages to metrics and a page, on the tiny model."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import srsly

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_workflow_runs_from_passages_to_metrics(tmp_path: Path, tiny_base: Path):
    for name in ("assets", "configs", "scripts"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "project.yml", tmp_path)
    small = {
        "base": tiny_base,
        "passages": 4,
        "val_passages": 2,
        "steps": 2,
        "eval_docs": 2,
        "batch_tokens": 600,
    }
    given = [word for name, value in small.items() for word in (f"--vars.{name}", str(value))]
    command = [sys.executable, "-m", "spacy", "project", "run", "all", ".", *given]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = srsly.read_json(tmp_path / "metrics" / "metrics.json")
    assert {"ents_p", "ents_r", "ents_f"} <= set(metrics)
    assert srsly.read_json(tmp_path / "metrics" / "train.json")["steps"] == 2
    assert "</html>" in (tmp_path / "output" / "project.html").read_text("utf8")
