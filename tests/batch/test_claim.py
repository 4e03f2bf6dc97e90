from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from lkcfuse.batch.claim import check_idle, claim
from lkcfuse.batch.journal import FOLDER
from lkcfuse.errors import ResourceError, UsageError


def test_one_run_at_a_time(tmp_path):
    folder = tmp_path / "fused"
    with claim(folder), pytest.raises(UsageError, match="another run"), claim(folder):
        pass
    with claim(folder):
        pass


def test_shards_of_one_batch_run_side_by_side(tmp_path):
    with claim(tmp_path, (1, 3)), claim(tmp_path, (3, 3)):
        for rival in (None, (1, 3), (1, 2)):
            with pytest.raises(UsageError, match="another run"), claim(tmp_path, rival):
                pass
        with claim(tmp_path, (2, 3)):
            pass
    with claim(tmp_path), pytest.raises(UsageError, match="another run"), claim(tmp_path, (1, 3)):
        pass


def test_a_killed_process_holds_nothing_and_its_temporary_files_go(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from lkcfuse.batch.claim import claim\n"
        "with claim(Path(sys.argv[1])): print('claimed', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "claimed\n"
    (tmp_path / "sub").mkdir()
    left = [tmp_path / ".lkcfuse-1a2b.tmp", tmp_path / "sub" / ".lkcfuse-3c4d.tmp"]
    kept = [tmp_path / "x.tmp", tmp_path / "sub" / ".lkcfuse-notes.txt"]
    for path in left + kept:
        path.touch()
    with pytest.raises(UsageError, match="another run"), claim(tmp_path):
        pass
    assert all(path.exists() for path in left)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    holder.stdout.close()
    with claim(tmp_path):
        assert not any(path.exists() for path in left)
        assert all(path.exists() for path in kept)


def test_shards_agree_on_their_settings(tmp_path):
    with claim(tmp_path, (1, 2)) as first:
        with claim(tmp_path, (2, 2)) as second:
            first.announce("these")
            with pytest.raises(UsageError, match=r"other settings.*every part"):
                second.announce("those")
            second.announce("these")
        # The other part has ended: what it had announced counts no more.
        first.announce("those")
    # Nor does what a part that was killed had announced, and the next one of its kind has not.
    (tmp_path / FOLDER / "run-1-of-2.settings").write_text("these")
    with claim(tmp_path, (2, 2)) as second:
        second.announce("those")
        with claim(tmp_path, (1, 2)):
            second.announce("others")
    assert not list((tmp_path / FOLDER).glob("*.settings"))


def test_a_shard_leaves_the_temporary_files_of_the_others(tmp_path):
    with claim(tmp_path, (1, 2)):
        theirs = tmp_path / ".lkcfuse-1a2b.tmp"
        theirs.touch()
        with claim(tmp_path, (2, 2)):
            assert theirs.exists()


def test_folders_that_cannot_be_made(tmp_path):
    missing = tmp_path / "not there"
    with pytest.raises(UsageError, match=f"mkdir -p '{missing}'"), claim(missing / "fused"):
        pass
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"), claim(tmp_path / "file"):
        pass


def test_folders_that_cannot_be_written_to(unprivileged_folder):
    with pytest.raises(ResourceError, match="cannot be made"), claim(unprivileged_folder / "f"):
        pass
    with pytest.raises(ResourceError, match="cannot be written"), claim(unprivileged_folder):
        pass


def test_looking_first_finds_what_a_claim_would_and_changes_nothing(tmp_path):
    folder = tmp_path / "out"
    check_idle(folder)
    assert not folder.exists()
    with claim(folder, (1, 2)):
        before = sorted(folder.rglob("*"))
        check_idle(folder, (2, 2))
        for shard in (None, (1, 2), (1, 3)):
            with pytest.raises(UsageError, match="another run"):
                check_idle(folder, shard)
        assert sorted(folder.rglob("*")) == before
    check_idle(folder)


def test_looking_first_finds_a_folder_that_cannot_be_written_to(unprivileged_folder):
    for folder in (unprivileged_folder, unprivileged_folder / "out"):
        with pytest.raises(ResourceError, match="no permission"):
            check_idle(folder)


@pytest.mark.parametrize("name", ["run.lock", "journal.lock"])
def test_a_planted_lock_is_not_followed(tmp_path, name):
    """A lock is opened for writing, and made where it does not exist."""
    victim = tmp_path / "victim"
    folder = tmp_path / "fused"
    (folder / ".lkcfuse").mkdir(parents=True)
    (folder / ".lkcfuse" / name).symlink_to(victim)
    with pytest.raises(ResourceError, match="fused cannot be written to"), claim(folder):
        pass
    assert not victim.exists()


def test_a_planted_folder_is_refused(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "fused").mkdir()
    (tmp_path / "fused" / ".lkcfuse").symlink_to(elsewhere)
    with pytest.raises(ResourceError, match=r"\.lkcfuse is a link"), claim(tmp_path / "fused"):
        pass
    assert list(elsewhere.iterdir()) == []


def test_a_planted_announcement_is_replaced(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("somebody's work")
    with claim(tmp_path / "fused", (1, 2)) as own:
        (tmp_path / "fused" / ".lkcfuse" / "run-1-of-2.settings").symlink_to(victim)
        own.announce("settings")
    assert victim.read_text() == "somebody's work"
