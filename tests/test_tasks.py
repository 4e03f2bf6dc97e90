from __future__ import annotations

import pytest

from lkcfuse.errors import UsageError
from lkcfuse.tasks import MRI_PET, TASKS, Task, get_task


def test_the_tasks_and_where_their_colour_comes_from():
    assert {name: task.keeps_chroma for name, task in TASKS.items()} == {
        "ir-vis": True,
        "mri-ct": False,
        "mri-pet": True,
        "mri-spect": True,
        "mef": True,
        "mff": True,
    }
    assert {name for name, task in TASKS.items() if not task.ordered} == {"mef", "mff"}


def test_a_task_is_found_by_name_or_is_itself():
    assert get_task("mri-pet") is MRI_PET
    assert get_task(MRI_PET) is MRI_PET


def test_an_unknown_task_lists_the_known():
    with pytest.raises(UsageError, match=r"'ct-mri'.*ir-vis, mri-ct, mri-pet, mri-spect"):
        get_task("ct-mri")


def test_roles_name_modalities_and_folders():
    assert (MRI_PET.first, MRI_PET.second) == ("MRI", "PET")
    assert [role.folder for role in TASKS["ir-vis"].sources] == ["ir", "vis"]


def test_an_unknown_chroma_policy_is_refused():
    with pytest.raises(ValueError, match=r"'both'.*second, none, blend, map"):
        Task("x", MRI_PET.sources, "both")
