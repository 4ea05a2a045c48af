"""How much memory there is, with machines made of files, and who gets it."""

import pytest

from backend.errors import InvalidRequest
from worker import memory
from worker.memory import Account, gpu_number, host_bytes

GB = 10**9


def machine(root, *, meminfo=8 * GB, group=None, files=None):
    (root / "proc/self").mkdir(parents=True)
    if meminfo is not None:
        (root / "proc/meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable: {meminfo // 1000 * 1000 // 1024} kB\n")
    if group is not None:
        (root / "proc/self/cgroup").write_text(group)
    for name, text in (files or {}).items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(text))
    return root


def test_without_groups_it_is_what_the_kernel_says(tmp_path):
    assert host_bytes(machine(tmp_path)) == pytest.approx(8 * GB, rel=1e-6)


def test_a_containers_limit_counts_without_what_can_be_dropped(tmp_path):
    files = {
        "memory.max": 4 * GB,
        "memory.current": 3 * GB,
        "memory.stat": f"anon {GB}\nfile {2 * GB}\ninactive_file {GB}\n",
    }
    assert host_bytes(machine(tmp_path, group="0::/\n", files=files)) == 2 * GB


def test_the_tightest_group_around_decides(tmp_path):
    files = {
        "memory.max": "max",
        "memory.current": 0,
        "memory.stat": "",
        "user/memory.max": 3 * GB,
        "user/memory.current": GB,
        "user/memory.stat": "inactive_file 0\n",
        "user/job/memory.max": "max",
        "user/job/memory.current": 0,
        "user/job/memory.stat": "",
    }
    assert host_bytes(machine(tmp_path, group="0::/user/job\n", files=files)) == 2 * GB


def test_version_one_too(tmp_path):
    files = {
        "memory/docker/x/memory.limit_in_bytes": 2 * GB,
        "memory/docker/x/memory.usage_in_bytes": GB,
        "memory/docker/x/memory.stat": f"total_inactive_file {GB // 2}\n",
        "memory/memory.limit_in_bytes": 9223372036854771712,
        "memory/memory.usage_in_bytes": GB,
        "memory/memory.stat": "total_inactive_file 0\n",
    }
    group = "12:cpu,cpuacct:/docker/x\n5:memory:/docker/x\n"
    assert host_bytes(machine(tmp_path, group=group, files=files)) == 1.5 * GB


def test_a_group_that_is_full_leaves_nothing(tmp_path):
    files = {"memory.max": GB, "memory.current": 2 * GB, "memory.stat": ""}
    assert host_bytes(machine(tmp_path, group="0::/", files=files)) == 0


def test_a_machine_that_says_nothing_is_asked_for_all_it_has(tmp_path):
    assert host_bytes(machine(tmp_path, meminfo=None)) > 0


def test_this_machine_has_some_and_keeps_a_reserve():
    assert 0 < memory.available() <= host_bytes() + 2**28


@pytest.mark.parametrize("device", ["cuda", "gpu", "cuda:", "cuda:-1", "CPU", "cuda:0,1", ""])
def test_names_of_devices(device):
    with pytest.raises(InvalidRequest, match="Expected cpu or cuda:N, got"):
        gpu_number(device)


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    assert memory.lacking("cpu") == memory.lacking("cuda:0") == ""
    assert memory.lacking("cuda:1").startswith("cuda:1 asked for, this machine has 1 GPU")


class TestAccount:
    def test_an_even_share_or_what_is_needed(self):
        account = Account(lambda: 100)
        assert account.ask(1, least=10, most=500, sharers=4) == 25
        assert account.ask(2, least=40, most=500, sharers=4) == 40
        assert account.ask(3, least=36, most=36, sharers=4) is None
        assert account.ask(3, least=35, most=36, sharers=4) == 35

    def test_what_is_released_is_free_again(self):
        account = Account(lambda: 100)
        account.ask(1, least=90, most=90, sharers=1)
        assert account.ask(2, least=20, most=20, sharers=2) is None
        account.release(1)
        assert account.ask(2, least=20, most=20, sharers=2) == 20

    def test_alone_it_is_told_what_there_is(self):
        account = Account(lambda: 100)
        assert account.ask(1, least=101, most=500, sharers=1) == 100

    def test_asking_again_replaces_what_was_held(self):
        account = Account(lambda: 100)
        account.ask(1, least=60, most=60, sharers=1)
        assert account.ask(1, least=80, most=80, sharers=1) == 80

    def test_what_is_there_is_measured_while_nobody_holds_anything(self):
        there = [100, 10, 50]
        account = Account(lambda: there.pop(0))
        account.ask(1, least=60, most=60, sharers=2)
        assert account.ask(2, least=40, most=40, sharers=2) == 40
        account.release(1)
        account.release(2)
        assert account.ask(1, least=60, most=60, sharers=2) == 10
