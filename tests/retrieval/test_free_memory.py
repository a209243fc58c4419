import pytest

from wsreid.retrieval import free_memory as module
from wsreid.retrieval.free_memory import free_memory


@pytest.fixture
def system(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SYSTEM", tmp_path / "meminfo")
    monkeypatch.setattr(module, "GROUP", tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal:  9000 kB\nMemAvailable:    3000 kB\n")
    return tmp_path


def test_it_is_what_the_system_has(system):
    assert free_memory() == 3000 * 1024


@pytest.mark.parametrize(("limit", "free"), [("2000000", 1500000), ("9000000", 3000 * 1024), ("max", 3000 * 1024)])
def test_a_container_may_have_less(system, limit, free):
    (system / "memory.max").write_text(f"{limit}\n")
    (system / "memory.current").write_text("500000\n")
    assert free_memory() == free


def test_other_systems_do_not_say(system):
    (system / "meminfo").unlink()
    assert free_memory() is None
