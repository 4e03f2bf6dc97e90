from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from checkpoints import entry, write_manifest
from hypothesis import given
from hypothesis import strategies as st

import lkcfuse
from lkcfuse.errors import UsageError, WeightsError
from lkcfuse.models.manifest import built_in_path, load_manifest, read_manifest
from lkcfuse.models.source import HubSource, PackagedSource, UrlSource
from lkcfuse.tasks import TASKS

ENTRY = entry("mine", "https://example.org/models/mine.pth", b"abc")


def changed(**fields):
    result = copy.deepcopy(ENTRY)
    for name, value in fields.items():
        if value is None:
            del result[name]
        else:
            result[name] = value
    return result


@pytest.fixture
def manifest(tmp_path):
    def write(*entries):
        return write_manifest(tmp_path / "own.json", *entries)

    return write


def test_built_in_manifest_is_valid_and_knows_the_authors_files():
    known = load_manifest()
    vif, mif = known.get("lkc-funet-vif"), known.get("lkc-funet-mif")
    commit = "88e0edf42dafa6bb3912353f695f2b22b085a9d0"
    for it, file, size, digest in [
        (vif, "best_VIF.pth", 164813690, "1f9c4782fbe026be217cdf295c5277af"),
        (mif, "best_MIF.pth", 164812474, "9a4a65d2c7cdde343ccc3489d1566c70"),
    ]:
        assert it.source.url.startswith("https://media.githubusercontent.com/media/HeDan-11/")
        assert f"/{commit}/" in it.source.url
        assert (it.source.file_name, it.bytes, it.sha256[:32]) == (file, size, digest)
        assert (it.width, it.input_range, it.output_range) == (32, (0, 1), (0, 1))
        assert "licence" in it.notice
    assert vif.tasks == ("ir-vis",)
    assert mif.tasks == ("mri-ct", "mri-pet", "mri-spect")


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_default_and_the_authors_weights(task):
    known = load_manifest()
    assert known.default(task) is next(it for it in known if task in it.tasks)
    if not TASKS[task].ordered:  # photographs: the authors have none
        assert known.default(task).architecture == "weight-map"
        return
    expected = "lkc-funet-vif" if task == "ir-vis" else "lkc-funet-mif"
    assert known.get("authors", task).name == expected


def test_packaged_files_of_the_built_in_manifest_are_there_with_their_hash():
    from lkcfuse.models.store import Store

    for it in load_manifest():
        if isinstance(it.source, PackagedSource):
            assert Store().problem(it) is None, it.name


def test_the_documented_manifest_is_valid(tmp_path):
    page = built_in_path().parent / "docs" / "weights.md"
    text = page.read_text(encoding="utf-8").partition("```json\n")[2].partition("```")[0]
    path = tmp_path / "own.json"
    path.write_text(text.replace("…64 hexadecimal digits…", "0" * 64))
    assert [it.name for it in read_manifest(path)] == ["our-night"]


def test_built_in_manifest_is_found_in_an_installed_package(tmp_path):
    package = Path(lkcfuse.__file__).parent
    skip = shutil.ignore_patterns("__pycache__", "*.safetensors")
    shutil.copytree(package, tmp_path / "lkcfuse", ignore=skip)
    shutil.copy(built_in_path(), tmp_path / "lkcfuse" / "weights.json")
    code = (
        "from lkcfuse.models.manifest import *\n"
        "print(built_in_path(), *load_manifest().named('authors'))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.startswith(str(tmp_path / "lkcfuse" / "weights.json"))
    assert "lkc-funet-mif" in found.stdout


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": None}, "field 'name' is missing"),
        ({"name": "../escape"}, "field 'name'"),
        ({"name": "a..b"}, "field 'name'"),
        ({"name": "all"}, "field 'name'"),
        ({"name": 3}, "field 'name': expected a string, found a whole number"),
        ({"tasks": []}, "field 'tasks': the list is empty"),
        ({"tasks": "ir-vis"}, "field 'tasks': expected a list of strings"),
        ({"tasks": ["ir-viz"]}, "field 'tasks': 'ir-viz' is not one of ir-vis"),
        ({"tasks": ["ir-vis", "ir-vis"]}, "field 'tasks': an item appears twice"),
        ({"width": 0}, "field 'width': expected 1 or more"),
        ({"width": True}, "field 'width': expected a whole number, found true or false"),
        ({"width": 8.5}, "field 'width': expected a whole number, found a number"),
        ({"bytes": "3"}, "field 'bytes': expected a whole number, found a string"),
        ({"sha256": "ABC"}, "field 'sha256': expected 64"),
        ({"sha256": "A" * 64}, "field 'sha256': expected 64 lower-case"),
        ({"input_range": [1, 0]}, "field 'input_range': the first number must be below"),
        ({"input_range": [0]}, "field 'input_range': expected two numbers"),
        ({"output_range": None}, "field 'output_range' is missing"),
        ({"channel_order": ["first"]}, "field 'channel_order'"),
        ({"licence": " "}, "field 'licence': the string is blank"),
        ({"licens": "MIT"}, "unknown field 'licens'; did you mean 'licence'?"),
        ({"aliases": ["all"]}, "the alias 'all' is taken"),
        ({"aliases": ["lkc-funet-vif"]}, "the alias 'lkc-funet-vif' is taken"),
        ({"source": "https://example.org/a.pth"}, "source: expected an object, found a string"),
        ({"source": {}}, "source: expected one of 'packaged', 'url' and 'hub', found none"),
        ({"source": {"url": "x", "hub": "y"}}, "found url and hub"),
        ({"source": {"url": "ftp://example.org/a.pth"}}, "is not an https address"),
        ({"source": {"url": "https://u:p@example.org/a.pth"}}, "user name or password"),
        ({"source": {"url": "https://example.org/"}}, "is not a plain file name"),
        ({"source": {"url": "https://example.org/a%2F..%2F..%2Fb"}}, "'b' does not end in"),
        ({"source": {"url": "https://example.org/..%5Cb.pth"}}, "is not a plain file name"),
        ({"source": {"url": "https://example.org/a.exe"}}, "does not end in one of"),
        ({"source": {"url": "https://[oops/a.pth"}}, "source: Invalid IPv6"),
        ({"source": {"hub": "o/r", "file": "../a.pth", "revision": "main"}}, "is not a file"),
        ({"source": {"hub": "o/r", "file": "/a.pth", "revision": "main"}}, "is not a file"),
        ({"source": {"hub": "o", "file": "a.pth", "revision": "main"}}, "not owner/repository"),
        ({"source": {"hub": "o/r", "file": "a.pth", "revision": "../x"}}, "not a revision"),
        ({"source": {"hub": "o/r", "file": "a.pth"}}, "field 'revision' is missing"),
        ({"source": {"packaged": "a.pth"}}, "only lkcfuse itself can name packaged files"),
        ({"scores": [{"data": "x"}]}, "scores[0]: field 'metrics' is missing"),
        ({"scores": [{"data": "x", "metrics": {"VIF": "1"}}]}, "'metrics.VIF': expected a number"),
        ({"scores": {}}, "field 'scores': expected a list of objects"),
    ],
)
def test_an_invalid_entry_is_refused_naming_file_entry_and_field(manifest, fields, words):
    path = manifest(changed(**fields))
    with pytest.raises(WeightsError) as caught:
        load_manifest(path)
    message = str(caught.value)
    assert words in message
    if "alias" not in words:
        assert message.startswith(str(path))
        name = fields.get("name", "mine")
        assert ("weights[0]" if not isinstance(name, str) else f"weights '{name}'") in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ('{"schema": NaN}', "not valid JSON: the number NaN is out of range"),
        ('{"schema": 1e999}', "not valid JSON: the number 1e999 is out of range"),
        ('{"schema": 1' + "0" * 400 + "}", "not valid JSON: the number 1000"),
        ("[]", "expected an object, found a list"),
        ('{"schema": 1}', "field 'weights' is missing"),
        ('{"schema": 2, "weights": []}', "schema 2 is not understood"),
        ('{"schema": 1, "weights": {}}', "field 'weights': expected a list"),
        ('{"schema": 1, "weights": [7]}', "weights[0]: expected an object, found a whole number"),
        ('{"schema": 1, "schema": 1, "weights": []}', "'schema' appears twice"),
        ('{"schema": 1, "weights": [], "weihgts": []}', "did you mean 'weights'?"),
    ],
)
def test_an_invalid_file_is_refused(tmp_path, text, words):
    path = tmp_path / "own.json"
    path.write_text(text)
    with pytest.raises(WeightsError) as caught:
        read_manifest(path)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_or_no_text_is_refused(tmp_path):
    with pytest.raises(WeightsError, match="cannot be read: No such file"):
        read_manifest(tmp_path / "absent.json")
    (tmp_path / "image.json").write_bytes(b"\x89PNG\xff")
    with pytest.raises(WeightsError, match="not valid JSON"):
        read_manifest(tmp_path / "image.json")


def test_a_name_given_twice_in_a_file_is_refused(manifest):
    with pytest.raises(WeightsError, match="the name 'mine' appears twice"):
        load_manifest(manifest(ENTRY, ENTRY))


def test_own_entries_come_after_the_built_in_ones(manifest):
    known = load_manifest(manifest(ENTRY))
    assert known.entries[-1].name == "mine"
    assert known.default("ir-vis") == load_manifest().default("ir-vis")


def test_overriding_a_built_in_name_keeps_its_place_and_is_said_aloud(manifest):
    said = []
    path = manifest(changed(name="lkc-funet-vif"), ENTRY)
    known = load_manifest(path, notify=said.append)
    assert [it.name for it in known] == [*(it.name for it in load_manifest()), "mine"]
    assert known.get("lkc-funet-vif").licence == "CC0-1.0"
    assert said == [f"{path} overrides the built-in weights 'lkc-funet-vif'"]


def test_manifests_of_the_environment_are_merged_in_order(tmp_path, monkeypatch):
    first = write_manifest(tmp_path / "first.json", changed(licence="one"))
    second = write_manifest(tmp_path / "second.json", changed(licence="two"))
    monkeypatch.setenv("LKCFUSE_MANIFEST", os.pathsep.join([str(first), str(second)]))
    assert load_manifest().get("mine").licence == "two"
    assert load_manifest(first).get("mine").licence == "one"


def test_an_alias_may_stand_for_one_entry_a_task(manifest):
    clash = changed(aliases=["authors"])
    with pytest.raises(WeightsError, match="share the alias 'authors' for ir-vis"):
        load_manifest(manifest(clash))
    with pytest.raises(UsageError, match="stands for several weights"):
        load_manifest().get("authors")


def test_an_unknown_name_lists_the_known_ones_and_the_nearest():
    with pytest.raises(WeightsError, match=r"did you mean 'lkc-funet-mif'\? .*lkc-funet-vif"):
        load_manifest().get("lkc-funet-mfi")


def test_the_kinds_of_sources_are_read(manifest):
    hub = {"hub": "owner/repo", "file": "deep/file.safetensors", "revision": "v1"}
    known = load_manifest(manifest(ENTRY, changed(name="from-hub", source=hub)))
    assert known.get("mine").source == UrlSource("https://example.org/models/mine.pth")
    found = known.get("from-hub").source
    assert found == HubSource("owner/repo", "deep/file.safetensors", "v1")
    assert str(found) == "hf://owner/repo/deep/file.safetensors@v1"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=5,
)


@given(field=st.sampled_from([*ENTRY, "scores", "aliases", "notice"]), value=json_values)
def test_whatever_stands_in_a_field_it_is_read_or_refused_in_one_line(
    tmp_path_factory, field, value
):
    path = tmp_path_factory.mktemp("manifest") / "own.json"
    path.write_text(json.dumps({"schema": 1, "weights": [{**ENTRY, field: value}]}))
    message = str(path)
    try:
        read_manifest(path)
    except WeightsError as error:
        message = str(error)
    assert str(path) in message
