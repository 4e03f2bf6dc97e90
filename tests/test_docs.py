"""The documentation holds: its links lead somewhere, and its command lines are understood."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from lkcfuse.cli.app import app

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")])
LINK = re.compile(r"\]\((?!https?://)([^)#]+)")


def command_lines():
    """Yield the page and the words of every `lkcfuse` command in a block of code."""
    for page in PAGES:
        fenced = False
        for line in page.read_text(encoding="utf-8").splitlines():
            if line.startswith("```"):
                fenced = not fenced
            elif fenced or line.startswith("    "):
                yield from ((page, words) for words in commands_of(line))


def commands_of(line):
    """Yield the words after `lkcfuse`, for each command of a line of shell."""
    if not re.search(r"(^|[|&$]) *lkcfuse ", line.strip()):
        return
    lexer = shlex.shlex(line.strip().removeprefix("$ "), posix=True, punctuation_chars="|&<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, "&&"]:
        if set(word) <= set("|&"):
            if words[:1] == ["lkcfuse"]:
                yield words[1:]
            words = []
        else:
            words.append(word)


def test_there_is_something_to_test():
    assert ROOT / "README.md" in PAGES
    assert list(commands_of("pip install . && lkcfuse fuse a 'b c' -o - | display  # so")) == [
        ["fuse", "a", "b c", "-o", "-"]
    ]
    assert list(commands_of("lkcfuse is a name")) == [["is", "a", "name"]]
    assert list(commands_of("the name is lkcfuse here")) == []


def test_the_model_cards_are_those_of_the_manifest():
    script = ROOT / "benchmarks" / "model_cards.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize(
    ("page", "words"),
    [pytest.param(page, words, id=" ".join(words)) for page, words in command_lines()],
)
def test_command_lines_are_understood(page, words, monkeypatch):
    monkeypatch.chdir(ROOT)
    command, name = typer.main.get_command(app), "lkcfuse"
    words = list(words)
    while words and hasattr(command, "commands"):
        name = words.pop(0)
        command = command.commands[name]
    # Parses the options and arguments, and raises for what is unknown or missing.
    command.make_context(name, words)
