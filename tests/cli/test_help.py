from __future__ import annotations

import shlex

import pytest
import typer

from lkcfuse.cli.app import app
from lkcfuse.cli.examples import EXAMPLES, USAGE

ROOT = typer.main.get_command(app)


def commands(command=ROOT, words=()):
    """Yield the words of each command, and the command."""
    yield words, command
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, (*words, name))


COMMANDS = dict(commands())


def test_every_command_has_examples():
    assert {tuple(words.split()) for words in EXAMPLES} == set(COMMANDS)
    assert {tuple(words.split()) for words in USAGE} <= set(COMMANDS)


@pytest.mark.parametrize("example", [line for lines in EXAMPLES.values() for line in lines])
def test_examples_are_understood(example):
    (line,) = (part for part in example.split("|") if part.strip().startswith("lkcfuse "))
    words = shlex.split(line)[1:]
    command = ROOT
    while words and hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context("lkcfuse", words)


@pytest.mark.parametrize("columns", [30, 60, 120])
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_keeps_to_its_width_and_words_stay_whole(lkcfuse, monkeypatch, words, columns):
    monkeypatch.setenv("COLUMNS", "4000")
    wide = lkcfuse(*words, "--help").text.split()
    monkeypatch.setenv("COLUMNS", str(columns))
    text = lkcfuse(*words, "--help").text
    assert text.split() == wide
    for line in text.partition("Examples:")[0].splitlines():
        # A word that is too long, or an option's name, stands alone in its line.
        assert len(line) <= max(36, min(columns, 100)) or len(line.split()) <= 3, line


def test_a_wide_terminal_is_used_up_to_100_columns(lkcfuse, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    lines = lkcfuse("fuse", "--help").text.splitlines()
    assert 96 <= max(map(len, lines)) <= 100


def test_help_has_names_as_they_are_typed(lkcfuse):
    assert lkcfuse("fuse", "-h").text.startswith("Usage: lkcfuse fuse [OPTIONS] A B -o OUT\n")
    assert "\n  A  The infrared image" in lkcfuse("fuse", "-h").text
    assert lkcfuse("train", "-h").text.startswith("Usage: lkcfuse train [OPTIONS] FIRST SECOND\n")
    assert "\n  FIRST SECOND" in lkcfuse("train", "-h").text
    assert lkcfuse("weights", "show", "-h").text.startswith(
        "Usage: lkcfuse weights show [OPTIONS] NAME\n"
    )
    for words in COMMANDS:
        text = lkcfuse(*words, "-h").text
        assert not {"{", "<list", "<str", "<path", "(the first)"} & set(text.split()), words


def test_summaries_end(lkcfuse, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    listed = lkcfuse("-h").text.partition("Commands:")[2].partition("Examples:")[0]
    assert "..." not in listed
    sentences = " ".join(listed.split())
    assert "Fuse every pair of images in two folders;" in sentences
    assert sentences.count(".") >= len(ROOT.commands)
