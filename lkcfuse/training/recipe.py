"""Recipes: runs of one stage or several, as files.

A stage is a run of its own: settings, a start, and what it leaves. The next one goes on from that.
The weights of a stage may be averaged with those of stages before it, which keeps what each has
learnt where both lie in one valley of the loss.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any

from lkcfuse import strict_json
from lkcfuse.errors import InputError, UsageError
from lkcfuse.training.config import TrainingConfig
from lkcfuse.training.ranges import POSITIVE


@dataclass(frozen=True)
class Stage:
    """One stage of a recipe.

    Attributes:
        name: What others call it.
        config: Its settings.
        start: The stage whose weights it goes on from; None for the first, which starts from
            nothing or from the weights that the user gives.
        average: Share of each stage in what this one leaves, of a sum of 1. Its own name stands for
            what its training ends with, another's for what that stage left.
    """

    name: str
    config: TrainingConfig
    start: str | None = None
    average: Mapping[str, float] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the stage as plain JSON data."""
        average = dict(self.average)
        return {**self.config.to_dict(), "name": self.name, "from": self.start, "average": average}


@dataclass(frozen=True)
class Recipe:
    """What a run does.

    Attributes:
        stages: In their order; there is at least one.
    """

    stages: tuple[Stage, ...]

    @classmethod
    def of(cls, config: TrainingConfig) -> Recipe:
        """Return a recipe of one stage."""
        return cls((Stage("1", config, average={"1": 1.0}),))

    @property
    def last(self) -> TrainingConfig:
        """The last stage's settings: its tasks are what the weights are for."""
        return self.stages[-1].config

    @property
    def steps(self) -> int:
        """Optimiser steps of all stages."""
        return sum(stage.config.steps for stage in self.stages)

    def only(self, name: str) -> Recipe:
        """Return the recipe of one of the stages alone, without its averages.

        Raises:
            UsageError: There is no such stage.
        """
        for stage in self.stages:
            if stage.name == name:
                return Recipe.of(stage.config)
        known = ", ".join(stage.name for stage in self.stages)
        raise UsageError(f"the recipe has no stage '{name}': it has {known}")

    def map(self, change: Callable[[TrainingConfig], TrainingConfig]) -> Recipe:
        """Return the recipe with every stage's settings changed."""
        return Recipe(tuple(replace(stage, config=change(stage.config)) for stage in self.stages))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, where: str) -> Recipe:
        """Read a recipe: settings, and in `stages`, if there are several, what differs in each.

        Raises:
            InputError: It is not a recipe; the message names `where` and what is wrong.
        """
        common = dict(data)
        listed = common.pop("stages", None)
        if listed is None:
            return cls.of(TrainingConfig.from_dict(common, where=where))
        if not isinstance(listed, list) or not listed:
            raise InputError(f"{where}: stages is {json.dumps(listed)}: give a list of objects")
        stages: list[Stage] = []
        for number, entry in enumerate(listed, start=1):
            place = f"{where}: stage {number}"
            if not isinstance(entry, dict):
                raise InputError(f"{place} is {json.dumps(entry)}: give an object")
            stages.append(_stage(common, entry, stages, place))
        networks = {stage.config.network() for stage in stages}
        if len(networks) > 1:
            raise InputError(f"{where}: the stages are of different networks: give all the same")
        return cls(tuple(stages))


def _stage(
    common: Mapping[str, Any], entry: Mapping[str, Any], before: list[Stage], where: str
) -> Stage:
    values = {**common, **entry}
    for name in ("loss", "augmentation"):
        if isinstance(common.get(name), dict) and isinstance(entry.get(name), dict):
            values[name] = {**common[name], **entry[name]}
    known = [stage.name for stage in before]
    name = values.pop("name", str(len(before) + 1))
    if not isinstance(name, str) or name in known:
        raise InputError(
            f"{where}: its name is {json.dumps(name)}: give a name that no other stage has"
        )
    start = values.pop("from", before[-1].name if before else None)
    shares = values.pop("average", {name: 1.0})
    config = TrainingConfig.from_dict(values, where=where)
    if start is not None and start not in known:
        raise InputError(f"{where}: from is {json.dumps(start)}: name a stage before it")
    if not isinstance(shares, dict) or not shares:
        raise InputError(f"{where}: average is {json.dumps(shares)}: give shares by stage")
    for other, share in shares.items():
        if other != name and other not in known:
            raise InputError(f"{where}: average has {json.dumps(other)}: name a stage before it")
        try:
            POSITIVE.check(f"average: {other}", share)
        except UsageError as error:
            raise InputError(f"{where}: {error}") from None
    total = sum(shares.values())
    return Stage(name, config, start, {other: share / total for other, share in shares.items()})


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package."""
    folder = resources.files("lkcfuse.training").joinpath("recipes")
    return sorted(
        entry.name[: -len(".json")] for entry in folder.iterdir() if entry.name.endswith(".json")
    )


def load_recipe(name: str) -> Recipe:
    """Read a recipe: a name of the package's, or the path of a JSON file.

    Raises:
        UsageError: There is no such recipe.
        InputError: The file is not a recipe.
    """
    if name in recipe_names():
        source = resources.files("lkcfuse.training").joinpath("recipes").joinpath(f"{name}.json")
        text = source.read_text(encoding="utf-8")
    elif name.endswith(".json"):
        try:
            text = Path(name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{name}: the recipe cannot be read: {error}") from None
    else:
        known = ", ".join(recipe_names())
        raise UsageError(f"no recipe is called '{name}': choose {known}, or give a .json file")
    try:
        data = strict_json.loads(text)
    except ValueError as error:
        raise InputError(f"{name}: the recipe is not valid JSON: {error}") from None
    if not isinstance(data, dict):
        raise InputError(f"{name}: a recipe is a JSON object")
    return Recipe.from_dict(data, where=name)
