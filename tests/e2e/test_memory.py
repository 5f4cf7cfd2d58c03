# SPDX-License-Identifier: BSD-3-Clause
"""Hugepages: reserved here, a bounded number of them, used by the switch, given back when it ends; and too few of them."""
import contextlib
import pathlib
import re
import signal

import pytest

from lab import until
from raw import Established, Raw
from test_process import attempt

PAGES = pathlib.Path("/sys/kernel/mm/hugepages/hugepages-2048kB")
RESERVED = 512  # of 2 MiB
WANTED_MB = 256


def number(name):
    return int((PAGES / name).read_text())


@contextlib.contextmanager
def reserved(pages):
    """So many pages of 2 MiB are free meanwhile; the machine is as it was afterwards."""
    before = number("nr_hugepages")
    in_use = before - number("free_hugepages")
    try:
        try:
            (PAGES / "nr_hugepages").write_text(str(in_use + pages))
        except OSError as e:
            pytest.skip(f"hugepages cannot be reserved here: {e}")
        if number("free_hugepages") != pages:
            pytest.skip(f"the kernel gives {number('free_hugepages')} hugepages of {pages}")
        yield
    finally:
        (PAGES / "nr_hugepages").write_text(str(before))


def huge_kib(pid):
    """Memory of a process in pages of hugetlbfs."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(n) for n in re.findall(r"(?:Shared|Private)_Hugetlb:\s+(\d+) kB", text))


def warnings(lab):
    return [line for line in lab.dataplane.text().splitlines() if "memory.no_hugepages" in line]


def call(lab):
    with Raw(lab, "a") as a, Raw(lab, "b") as b:
        Established(a, b).end()
    row, = lab.cdrs(1)
    assert row["sip_code"] == 200 and row["complete"] == 1
    lab.settle()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["drained", "killed"])
def test_hugepages_are_used_and_given_back(fresh, end):
    with reserved(RESERVED):
        lab = fresh(edit=lambda t: t.replace("huge_mb = 0", f"huge_mb = {WANTED_MB}"))
        assert not warnings(lab), lab.dataplane.text()
        assert huge_kib(lab.dataplane.p.pid) >= 32 * 1024, "packet buffers and legs lie there"
        assert RESERVED - WANTED_MB // 2 <= number("free_hugepages") <= RESERVED - 16
        call(lab)
        assert lab.dataplane.kill(end) == (0 if end == signal.SIGTERM else -end)
        until(lambda: number("free_hugepages") == RESERVED, 5, what="the pages")


def test_too_few_hugepages_is_one_line_and_runs_without(fresh):
    with reserved(10):
        lab = fresh(edit=lambda t: t.replace("huge_mb = 0", f"huge_mb = {WANTED_MB}"))
        line, = warnings(lab)
        assert f"wanted_mb={WANTED_MB}" in line and "free_mb=20" in line
        assert "nr_hugepages" in line, "says what to do"
        assert huge_kib(lab.dataplane.p.pid) == 0 and number("free_hugepages") == 10
        call(lab)


def test_check_says_that_pages_are_too_few(tmp_path):
    with reserved(10):
        code, text = attempt(tmp_path, lambda t: t.replace("huge_mb = 0", f"huge_mb = {WANTED_MB}"), "--check")
    assert code == 0 and "20 MiB of hugepages are free" in text


def test_huge_mb_that_cannot_hold_the_limits(tmp_path):
    code, text = attempt(tmp_path, lambda t: t.replace("huge_mb = 0", "huge_mb = 8"))
    assert code == 2 and re.search(r"memory.huge_mb +needed +\d+ MiB +available +8 +TOO SMALL", text)
