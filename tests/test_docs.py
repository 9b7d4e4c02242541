"""What the documents name exists: links, commands, options, rooms."""

from __future__ import annotations

import argparse
import ast
import builtins
import importlib
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from command_pages import parser_of, parts_of
from guide_commands import commands_of, running_text

from warpline.cli import main as command_line
from warpline.recipe import PRESETS, Recipe

ROOT = Path(__file__).parents[1]
GENERATED = (ROOT / "docs" / "reference", ROOT / "docs" / "tutorials")
"""What the site is built from, and `make docs` writes."""

DOCUMENTS = sorted(
    path
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    if not any(folder in path.parents for folder in GENERATED)
)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#]+)")
GUIDES = [document for document in DOCUMENTS if commands_of(document)]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_links_lead_to_files(document):
    targets = [document.parent / link for link in LINK.findall(document.read_text(encoding="utf-8"))]
    assert [str(target) for target in targets if not target.exists()] == []


@pytest.mark.parametrize("document", GUIDES, ids=named)
def test_commands_are_accepted(document):
    for command in commands_of(document):
        arguments = shlex.split(command.partition(" > ")[0])[1:]
        assert isinstance(command_line.build_parser(arguments).parse_args(arguments), argparse.Namespace)


OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")

OTHER_PROGRAMS = {
    "antsRegistration": {"--restrict-deformation", "--winsorize-image-intensities", "--use-histogram-matching"},
    "dask worker": {"--nthreads"},
    "sbatch": {"--export"},
    "git": {"--depth"},
    "pip": {"--no-compile"},
    "bench/": {"--ants", "--here", "--oracle"},
    "tests/fuzzing": {"--seconds"},
}
"""Options of other programs that stand in running text alone."""

OTHER_COMMANDS = re.compile(
    r"(ants|applywarp|dipy_|flirt|fnirt|git |lta_convert|mri_|napari |pip |(WARPLINE_\w+=\w+ )?python |snakemake|"
    r"twine )"
)
"""Beginnings of whole commands of other programs."""


def options_of(*commands):
    """The options of commands and their actions."""
    parsers = [part for name in commands for part in parts_of(parser_of(name))]
    return {flag for parser in parsers for action in parser._actions for flag in action.option_strings}


def named_options():
    """Page, code in its running text, and an option in that."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for code in re.findall(r"`([^`]+)`", running_text(page)):
            if not OTHER_COMMANDS.match(code):
                yield from ((page.name, code, option) for option in OPTION.findall(code))


def test_options_in_running_text_exist():
    everywhere = options_of(*command_line.COMMANDS) | set().union(*OTHER_PROGRAMS.values())
    of = {name: options_of(name) for name in command_line.COMMANDS}
    wrong = [
        (page, code)
        for page, code, option in named_options()
        if option not in of.get(re.sub(r"^warpline ([\w-]+).*", r"\1", code, flags=re.DOTALL), everywhere)
    ]
    assert wrong == []


def test_options_of_other_programs_are_still_named():
    options = {option for _, _, option in named_options()}
    assert set().union(*OTHER_PROGRAMS.values()) - options == set()


INCLUDED = re.compile(r"```\{literalinclude\} (\S+)\n:language: python\n:start-at: (.+)\n```")


def names_without_origin(code):
    """Names that a piece of Python reads, and neither imports nor defines."""
    nodes = list(ast.walk(ast.parse(code)))
    imported = {
        alias.name.split(".")[0]
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    defined = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    defined |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    names = [node for node in nodes if isinstance(node, ast.Name)]
    defined |= {name.id for name in names if isinstance(name.ctx, ast.Store)}
    return {name.id for name in names} - imported - defined - set(dir(builtins))


def test_python_that_pages_include_is_complete():
    page = ROOT / "docs" / "interoperability.md"
    included = INCLUDED.findall(page.read_text(encoding="utf-8"))
    assert len(included) == page.read_text(encoding="utf-8").count("literalinclude") == 2
    for name, start in included:
        code = (page.parent / name).read_text(encoding="utf-8")
        assert names_without_origin(code[code.index(start) :]) == set()
        assert names_without_origin(code.partition("import warpline\n")[2]) >= {"Any", "torch"}


def test_guides_have_commands():
    assert {named(document) for document in GUIDES} >= {
        "README.md",
        *(f"docs/{name}.md" for name in ("getting-started", "guide", "coming-from", "cohort", "template", "series")),
    }


@pytest.mark.parametrize(
    "target",
    [
        *("demo", "docs", "docs-check", "docs-examples", "test", "check", "interoperability", "fuzz", "weight"),
        *("dist", "lock", "sbom", "clean"),
    ],
)
def test_targets_of_make_exist(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)


def test_recipes_of_the_guide_are_valid(tmp_path):
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "guide.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        (tmp_path / "mine.toml").write_text(block)
        options = Recipe.load(tmp_path / "mine.toml").syn.model_dump()
        for name, value in tomllib.loads(block)["syn"].items():
            assert options[name] == (None if value == "off" else tuple(value))


def test_guide_lists_every_recipe():
    text = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    assert [name for name in PRESETS if f"| `{name}` |" not in text] == []


def test_architecture_names_every_room():
    rows = re.findall(
        r"^\| \d+ \| (.*?) \|", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    rooms = {room for row in rows for room in re.findall(r"`(\w+)`", row)}
    package = ROOT / "src" / "warpline"
    there = {path.stem for path in package.glob("*.py")} | {path.parent.name for path in package.glob("*/__init__.py")}
    assert rooms == (there | {"kernels"}) - {"__init__"}


def test_layers_and_architecture_agree():
    rows = re.findall(
        r"^\| \d+ \| (.*?) \|", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    assert [set(re.findall(r"`(\w+)`", row)) for row in rows] == [set(re.findall(r"\w+", layer)) for layer in layers]


def test_names_in_the_glossary_exist():
    rooms = "|".join(path.parent.name for path in (ROOT / "src" / "warpline").glob("*/__init__.py"))
    words = set(
        re.findall(rf"`((?:{rooms})\.(?!json)[\w.]+)`", (ROOT / "docs/glossary.md").read_text(encoding="utf-8"))
    )
    assert len(words) > 16
    for word in words:
        room, _, name = word.partition(".")
        module = importlib.import_module(f"warpline.{room}")
        for part in name.split("."):  # modules that nothing has imported yet
            if not hasattr(module, part):
                importlib.import_module(f"{module.__name__}.{part}")
            module = getattr(module, part)


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_commands_stand_where_they_are_checked(document):
    assert re.findall(r"^```(?:console|sh|bash)$", document.read_text(encoding="utf-8"), re.MULTILINE) == []


def test_figures_are_described_in_words():
    text = (ROOT / "docs" / "algorithm.md").read_text(encoding="utf-8")
    plots = re.findall(r"\.\. plot:: .*\n(.*)\n", text)
    assert plots and all(re.fullmatch(r"   :alt: \S.+", line) for line in plots)
