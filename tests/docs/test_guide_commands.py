"""What a reader is told to type is found, whole, and what is not run has a reason that holds."""

from __future__ import annotations

import re

import guide_commands
import pytest
import run_commands
from guide_commands import ROOT, Step

from warpline.cli.main import COMMANDS

PAGE = """\
```toml
base = "syn"
```

```{image} a.png
:alt: warpline
```

```console
warpline demo
```

```
warpline register a b \\
         -o out/
pip install warpline
```

| `flirt -in b` | `warpline apply -i b` |

```python
import warpline
```
"""

STEPS = {step for page in guide_commands.guides() for step in guide_commands.steps_of(page)}


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(PAGE)
    return path


@pytest.fixture
def names():
    return {"__name__": "__main__"}


# -- what is found --------------------------------------------------------------------------------------------------


def test_steps_stand_in_the_order_of_the_page(page):
    demo, register, python = guide_commands.steps_of(page)
    assert (demo, register) == (Step(10, "warpline demo"), Step(14, "warpline register a b -o out/"))
    assert python == Step(22, "import warpline\n", python=True)
    assert guide_commands.commands_of(page) == [demo.code, register.code]
    assert guide_commands.code_of(page, "toml") == 'base = "syn"\n'


def test_tables_of_some_pages_have_commands(page):
    page = page.rename(page.with_name(guide_commands.WITH_TABLES[0]))
    assert guide_commands.commands_of(page)[2:] == ["warpline apply -i b"]


def test_running_text_has_no_blocks(page):
    assert guide_commands.running_text(page).strip() == "| `flirt -in b` | `warpline apply -i b` |"


def test_every_line_with_a_command_is_found():
    line = re.compile(rf"^\s*(?:\$ )?(warpline (?:{'|'.join(COMMANDS)})\b.*)$", re.MULTILINE)
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        typed = [found.rstrip("\\ ") for found in line.findall(page.read_text())]
        found = guide_commands.commands_of(page)
        assert [one for one in typed if not any(command.startswith(one) for command in found)] == [], page.name


def test_readme_index_and_guides_are_run():
    pages = {str(page.relative_to(ROOT)) for page in guide_commands.guides()}
    assert pages >= {"README.md", "docs/index.md", "docs/guide.md", "docs/interoperability.md"}
    assert len(STEPS) > 120


# -- what is not run ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [*run_commands.LEFT_OUT, *run_commands.NEEDS, *run_commands.ALLOWED])
def test_every_exception_is_of_some_step(part):
    assert [step for step in STEPS if part in step.code] != []


def test_what_comes_before_a_command_is_of_a_guide():
    assert set(run_commands.BEFORE) <= {step.code for step in STEPS}


def test_what_is_left_out_has_a_reason(monkeypatch):
    assert run_commands.why_left_out("warpline cohort serve out") == "serves until it is stopped"
    monkeypatch.setattr(run_commands, "find_spec", lambda module: None)
    assert run_commands.why_left_out("warpline register a b --prepare n4") == "needs the extra itk"
    assert run_commands.why_left_out("warpline register a b") == ""


# -- how it went ----------------------------------------------------------------------------------------------------


def test_a_command_that_fails_says_why(names):
    failed = run_commands.run_step(Step(1, "echo because >&2; exit 5"), names)
    assert (failed.went, failed.why) == ("failed", "exit code 5: because")
    assert run_commands.run_step(Step(1, "exit 0"), names).went == "ran"
    assert run_commands.run_step(Step(1, "true warpline check-header; exit 8"), names).went == "ran"


def test_python_goes_on_from_block_to_block(names):
    assert run_commands.run_step(Step(1, "x = 1", python=True), names).went == "ran"
    assert run_commands.run_step(Step(3, "assert x == 1", python=True), names).went == "ran"
    failed = run_commands.run_step(Step(7, "x\ny", python=True), names, "page.md")
    assert failed.went == "failed" and 'File "page.md", line 8' in failed.why


def test_a_page_is_run_in_a_folder_of_its_own(tmp_path, page, monkeypatch):
    data = tmp_path / "data"
    data.mkdir()
    (data / "made.txt").write_text("made")
    page.write_text('```toml\na = 1\n```\n```python\nassert open("made.txt").read() + open("mine.toml").read()\n```\n')
    assert [one.went for one in run_commands.run_page(page, str(data))] == ["ran"]
    assert [path.name for path in data.iterdir()] == ["made.txt"]


def test_a_command_is_typed_once():
    steps = [Step(line, code) for line, code in enumerate("abac")]
    assert [step.line for step in run_commands._without_repeats(steps)] == [0, 1, 3]


def test_pages_are_named_without_ending():
    assert run_commands.page_of("README") == ROOT / "README.md"
    assert run_commands.page_of("guide") == ROOT / "docs" / "guide.md"


def test_the_table_counts_what_happened(capsys):
    step = Step(1, "warpline demo")
    outcomes = [run_commands.Outcome(step, went, "why", 2.0) for went in ("ran", "left out", "failed")]
    run_commands._print_page(ROOT / "README.md", outcomes)
    run_commands._print_table({ROOT / "README.md": outcomes})
    said = capsys.readouterr().out
    assert "left out warpline demo  (why)" in said
    assert re.search(r"README\.md +1 +1 +1 +6$", said, re.MULTILINE)
