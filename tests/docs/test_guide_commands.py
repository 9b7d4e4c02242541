"""What a reader is told to type is found, whole."""

from __future__ import annotations

import guide_commands
import run_commands

PAGE = """\
```toml
base = "syn"
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


def test_commands_stand_in_plain_blocks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert guide_commands.commands_of(page) == ["warpline register a b -o out/"]
    assert guide_commands.code_of(page, "toml") == 'base = "syn"\n'


def test_tables_of_some_pages_have_commands(tmp_path):
    page = tmp_path / guide_commands.WITH_TABLES[0]
    page.write_text(PAGE)
    assert guide_commands.commands_of(page) == ["warpline register a b -o out/", "warpline apply -i b"]


def test_pages_whose_commands_are_run_exist():
    assert [name for name in run_commands.PAGES if not (run_commands.DOCS / f"{name}.md").exists()] == []
    assert set(run_commands.WITH_PYTHON) <= set(run_commands.PAGES)


def test_a_command_that_fails_is_counted(tmp_path, capsys):
    assert run_commands._run("exit 5", str(tmp_path), {}) == 1
    assert run_commands._run("exit 0", str(tmp_path), {}) == 0
    assert "exit code 5" in capsys.readouterr().out
