from __future__ import annotations

import hashlib
import random
import socket
import time

import pytest
from loopback import Answer

from lkcfuse.errors import WeightsError
from lkcfuse.models.download import Retries, download

BODY = random.Random(0).randbytes(600_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
QUICK = Retries(attempts=3, first_wait=0.01, longest_wait=1.5)
DROPPED = Answer(drop_at=200_000)


@pytest.fixture
def fetch(server, tmp_path, said):
    server.files["/file.pth"] = BODY

    def call(**options):
        options = {"size": len(BODY), "retries": QUICK, **options}
        url = server.url("/file.pth")
        return download(url, tmp_path / "part", notify=said.append, **options)

    return call


@pytest.fixture
def partial(tmp_path):
    return tmp_path / "part"


def test_a_file_arrives_whole_with_its_hash_and_progress(fetch, partial, said):
    seen = []
    received = fetch(progress=lambda done, total: seen.append((done, total)))
    assert (received.sha256, received.resumed) == (SHA256, False)
    assert partial.read_bytes() == BODY
    assert seen[0] == (0, len(BODY))
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)
    assert said == []
    assert list(partial.parent.iterdir()) == [partial]


def test_a_dropped_connection_is_resumed_where_it_stopped(fetch, server, partial, said):
    server.plan.extend([DROPPED, DROPPED])
    received = fetch()
    assert (received.sha256, received.resumed) == (SHA256, True)
    assert partial.read_bytes() == BODY
    ranges = [request.headers.get("Range") for request in server.gets()]
    assert ranges == [None, "bytes=200000-", "bytes=400000-"]
    assert [request.headers.get("If-Range") for request in server.gets()][1:] == [f'"{SHA256}"'] * 2
    assert all("the connection was lost; trying again in" in line for line in said)


def test_many_drops_are_survived_as_long_as_each_gets_further(fetch, server, partial):
    server.usual = Answer(drop_at=70_000)
    assert fetch().sha256 == SHA256
    assert len(server.gets()) == 9
    assert partial.read_bytes() == BODY


def test_a_server_that_always_drops_at_one_place_is_given_up(fetch, server):
    server.usual = Answer(drop_at=200_000, ranges=False)
    with pytest.raises(WeightsError, match=r"was lost \(tried 3 times\): try again later"):
        fetch()
    assert len(server.gets()) == 3


def test_what_arrived_is_kept_for_the_next_call(fetch, server, partial):
    server.plan.extend([DROPPED, *[Answer(status=500)] * 3])
    with pytest.raises(WeightsError, match="500"):
        fetch()
    assert partial.read_bytes() == BODY[:200_000]
    received = fetch()
    assert (received.sha256, received.resumed) == (SHA256, True)
    assert server.gets()[-1].headers["Range"] == "bytes=200000-"


def test_a_server_that_ignores_range_is_taken_from_the_start(fetch, server, partial):
    server.plan.append(DROPPED)
    server.usual = Answer(ranges=False)
    assert fetch().sha256 == SHA256
    assert partial.read_bytes() == BODY


def test_a_file_that_changed_on_the_server_is_fetched_anew(fetch, server, partial):
    server.plan.append(Answer(drop_at=200_000, body=bytes(len(BODY)), headers={"ETag": '"old"'}))
    assert fetch().sha256 == SHA256
    assert server.gets()[1].headers["If-Range"] == '"old"'
    assert partial.read_bytes() == BODY


def test_without_a_validator_the_parts_are_left_to_the_hash(fetch, server):
    weak = {"ETag": 'W/"weak"'}
    server.plan.append(Answer(drop_at=200_000, body=bytes(len(BODY)), headers=weak))
    received = fetch()
    assert received.resumed
    assert received.sha256 == hashlib.sha256(bytes(200_000) + BODY[200_000:]).hexdigest()
    assert "If-Range" not in server.gets()[1].headers


def test_a_validator_is_not_sent_to_another_address(fetch, server, partial):
    server.plan.append(DROPPED)
    with pytest.raises(WeightsError):
        fetch(retries=Retries(attempts=1))
    server.files["/mirror/file.pth"] = BODY
    url = server.url("/mirror/file.pth")
    assert download(url, partial, len(BODY), notify=print).sha256 == SHA256
    assert server.gets()[-1].headers["Range"] == "bytes=200000-"
    assert "If-Range" not in server.gets()[-1].headers


def test_a_part_that_is_already_whole_is_not_asked_for(fetch, server, partial):
    partial.write_bytes(BODY)
    received = fetch()
    assert (received.sha256, received.resumed) == (SHA256, True)
    assert server.requests == []


def test_a_part_that_is_too_long_is_thrown_away(fetch, partial):
    partial.write_bytes(BODY + b"more")
    assert fetch().sha256 == SHA256


def test_a_part_beyond_the_servers_file_is_not_resumed(fetch, server, partial):
    partial.write_bytes(BODY[:500_000])
    server.plan.append(Answer(body=BODY[:400_000]))
    assert fetch().sha256 == SHA256
    assert [request.headers.get("Range") for request in server.gets()] == ["bytes=500000-", None]


def test_a_range_other_than_the_one_asked_for_is_not_appended(fetch, server, partial):
    partial.write_bytes(BODY[:200_000])
    lie = {"Content-Range": f"bytes 100000-{len(BODY) - 1}/{len(BODY)}"}
    server.plan.append(Answer(headers=lie))
    assert fetch().sha256 == SHA256


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_passing_failure_is_tried_again(fetch, server, said, status):
    server.plan.append(Answer(status=status))
    assert fetch().sha256 == SHA256
    assert f"the server answers {status}" in said[0]


def test_retry_after_is_obeyed(fetch, server):
    server.plan.append(Answer(status=429, headers={"Retry-After": "1"}))
    start = time.monotonic()
    assert fetch().sha256 == SHA256
    assert time.monotonic() - start >= 1


def test_retry_after_that_is_too_long_ends_it(fetch, server):
    server.plan.append(Answer(status=429, headers={"Retry-After": "3600"}))
    with pytest.raises(WeightsError, match="asks to wait 3600 s: try again after that"):
        fetch()


@pytest.mark.parametrize("value", ["soon", "-5", ""])
def test_a_senseless_retry_after_is_as_good_as_none(fetch, server, value):
    server.plan.append(Answer(status=503, headers={"Retry-After": value}))
    assert fetch().sha256 == SHA256


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 451])
def test_a_refusal_is_final_and_names_the_way_out(fetch, server, status):
    server.plan.append(Answer(status=status))
    with pytest.raises(WeightsError, match=f"answers {status}.*lkcfuse weights import") as caught:
        fetch()
    assert server.url("/file.pth") in str(caught.value)
    assert len(server.gets()) == 1


@pytest.mark.parametrize("status", [204, 301, 304])
def test_an_answer_without_a_file_is_refused(fetch, server, status):
    server.plan.append(Answer(status=status))
    with pytest.raises(WeightsError, match=str(status)):
        fetch()


def test_another_length_is_refused_before_a_byte_is_taken(fetch, server, partial):
    server.plan.append(Answer(body=b"version https://git-lfs.github.com/spec/v1\n"))
    with pytest.raises(WeightsError, match=r"offers 43 bytes where the manifest says 600000"):
        fetch()
    assert not partial.exists()


def test_another_total_in_a_resumed_answer_is_refused(fetch, server, partial):
    partial.write_bytes(BODY[:200_000])
    server.plan.append(Answer(body=BODY + b"more"))
    with pytest.raises(WeightsError, match="offers 600004 bytes"):
        fetch()
    assert partial.read_bytes() == BODY[:200_000]


def test_a_length_that_lies_is_a_broken_connection(fetch, server):
    server.plan.append(Answer(body=BODY[:1000], length=len(BODY)))
    assert fetch().sha256 == SHA256
    assert server.gets()[1].headers["Range"] == "bytes=1000-"


def test_a_chunked_body_is_taken_to_its_known_length(fetch, server):
    server.plan.append(Answer(length="none"))
    assert fetch().sha256 == SHA256


def test_a_chunked_body_that_ends_early_is_resumed(fetch, server):
    server.plan.append(Answer(length="none", body=BODY[:1000]))
    received = fetch()
    assert (received.sha256, received.resumed) == (SHA256, True)


def test_a_chunked_body_that_goes_on_is_refused(fetch, server):
    server.plan.append(Answer(length="none", body=BODY + b"more"))
    with pytest.raises(WeightsError, match="sends more than 600000 bytes"):
        fetch()


def test_a_wrong_body_is_told_by_the_hash(fetch, server):
    server.plan.append(Answer(body=bytes(len(BODY))))
    received = fetch()
    assert (received.sha256 == SHA256, received.resumed) == (False, False)


def test_nobody_listening_is_tried_again_then_given_up(tmp_path, said):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    url = f"http://127.0.0.1:{port}/file.pth"
    with pytest.raises(WeightsError, match=r"Connection refused.*\(tried 3 times\)"):
        download(url, tmp_path / "part", 1, notify=said.append, retries=QUICK)
    assert len(said) == 2


def test_a_server_that_is_silent_is_given_up(tmp_path, said, monkeypatch):
    monkeypatch.setattr("lkcfuse.models.transport.READ_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file.pth"
        with pytest.raises(WeightsError, match="does not answer in time"):
            download(url, tmp_path / "part", 1, notify=said.append, retries=QUICK)


def test_waits_double_and_are_bounded():
    waits = [Retries(first_wait=1, longest_wait=5).wait(failures) for failures in (1, 2, 3, 4)]
    assert 1 <= waits[0] <= 1.25
    assert 2 <= waits[1] <= 2.5
    assert 4 <= waits[2] <= 5
    assert waits[3] == 5


def test_an_interrupted_download_leaves_its_part(server, fetch, partial):
    """Ctrl-C in the middle of a body: what arrived stays."""
    server.usual = Answer(bytes_per_second=2e6)

    def interrupt(done, _total):
        if done >= 300_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(progress=interrupt)
    assert 0 < partial.stat().st_size < len(BODY)
    assert BODY.startswith(partial.read_bytes())
    server.usual = Answer()
    assert fetch().sha256 == SHA256


def test_memory_stays_small(server, tmp_path):
    """The peak grows by much less than the file."""
    import tracemalloc

    file = tmp_path / "big"
    with file.open("wb") as writer:
        writer.truncate(40_000_000)
    server.files["/big.pth"] = file
    tracemalloc.start()
    try:
        download(server.url("/big.pth"), tmp_path / "part", 40_000_000, notify=print)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8_000_000
