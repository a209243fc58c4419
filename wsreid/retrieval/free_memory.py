"""How much memory a process may still take."""

from __future__ import annotations

from pathlib import Path

SYSTEM = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")


def free_memory() -> int | None:
    """Bytes that can be had without swapping, on Linux, within the limit of a container.

    Returns:
        Bytes, or None where the system does not say (macOS, Windows).
    """
    if not SYSTEM.is_file():
        return None
    lines = dict(line.split(":", 1) for line in SYSTEM.read_text().splitlines())
    free = int(lines["MemAvailable"].split()[0]) * 1024
    limit, used = GROUP / "memory.max", GROUP / "memory.current"
    if limit.is_file() and used.is_file() and limit.read_text().strip() != "max":
        free = min(free, int(limit.read_text()) - int(used.read_text()))
    return free
