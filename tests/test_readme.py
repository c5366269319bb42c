"""README's examples run, and print what README says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"
EXAMPLES = re.findall(
    r"```python\n(.*?)```\n(?:\n```\n(.*?)```)?", README.read_text("utf8"), re.DOTALL
)


@pytest.mark.parametrize("code, output", EXAMPLES)
def test_example_prints_what_is_shown(code: str, output: str):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    if output:
        assert done.stdout.split() == output.split()


def test_every_setting_is_in_the_table():
    from spacy_nerllm.settings import Settings

    rows = re.findall(r"^\| `(\w+)` \|", README.read_text("utf8"), re.MULTILINE)
    assert rows == [*Settings.model_fields, "scorer"]
