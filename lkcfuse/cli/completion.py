"""What the shell offers for an option's or argument's value; nothing here imports torch."""

from __future__ import annotations

from lkcfuse.tasks import TASKS


def tasks() -> list[str]:
    """Return the tasks' names."""
    return list(TASKS)


def devices() -> list[str]:
    """Return the kinds of device, and `auto`."""
    return ["auto", "cpu", "cuda", "mps"]


def precisions() -> list[str]:
    """Return the kinds of arithmetic."""
    return ["auto", "fp32", "tf32", "bf16", "fp16"]


def tiles() -> list[str]:
    """Return the words for regions, and usual sizes in pixels."""
    return ["auto", "off", "256", "512", "1024", "2048"]


def palettes() -> list[str]:
    """Return the words for what is done about false colours, and the known palettes' names."""
    from lkcfuse.images.palettes.known import known_names

    return ["auto", "off", *known_names()]


def metrics(incomplete: str) -> list[str]:
    """Return lists of metrics that go on with one more, after the last comma.

    Args:
        incomplete: What was typed: `VIF,Qa`.
    """
    from lkcfuse.metrics.registry import METRICS

    start, comma, _ = incomplete.rpartition(",")
    taken = start.split(",")
    return [f"{start}{comma}{name}" for name in METRICS if name not in taken]


def engines() -> list[str]:
    """Return what a batch can be carried out by."""
    return ["local", "ray"]


def formats() -> list[str]:
    """Return the names of the output formats."""
    from lkcfuse.images.formats import FORMATS

    return list(FORMATS)


def weights() -> list[str]:
    """Return the names of the built-in manifest."""
    from lkcfuse.models.manifest import load_manifest

    return [entry.name for entry in load_manifest().entries]


def recipes() -> list[str]:
    """Return the names of the recipes in the package."""
    from lkcfuse.training.recipe import recipe_names

    return recipe_names()


def table_formats() -> list[str]:
    """Return what `eval --table` can print."""
    return ["latex", "markdown", "csv", "html"]
