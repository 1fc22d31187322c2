"""What a record says about the machine, the versions and the command: enough to judge the numbers,
nothing that identifies a person, a host or a folder.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benches import ROOT

PACKAGES = (
    "sift-fast",
    "kingfisher-secret-scanner",
    "detect-secrets",
    "langchain",
    "langchain-core",
    "litellm",
    "presidio-analyzer",
    "presidio-anonymizer",
    "agent-governance-toolkit",
    "cedarpy",
    "numpy",
)

#: Flags of each x86-64 level that matter to a scanner; the level is the highest whose flags are all there.
LEVELS = (
    ("x86-64-v2", {"sse4_2", "ssse3", "popcnt"}),
    ("x86-64-v3", {"avx2", "bmi2", "fma"}),
    ("x86-64-v4", {"avx512f", "avx512bw", "avx512vl", "avx512dq", "avx512cd"}),
)


def _cpuinfo() -> dict[str, str]:
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n", 1)[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _level(flags: set[str]) -> str:
    level = "x86-64-v1"
    for name, needed in LEVELS:
        if not needed <= flags:
            break
        level = name
    if level == "x86-64-v4" and "avx512vbmi" in flags:
        level += " + vbmi"
    return level


def versions() -> dict[str, str]:
    """Installed versions of us and the rivals; what is absent is left out."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    """The commit that was measured, with `+changes` when the tree differs from it."""
    git = ["git", "-C", str(ROOT)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip() + ("+changes" if changed.stdout.strip() else "")


def steal_fraction() -> float:
    """Share of CPU time since boot that the hypervisor gave to somebody else."""
    try:
        fields = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    except OSError:
        return 0.0
    ticks = [int(field) for field in fields]
    total = sum(ticks)
    return ticks[7] / total if len(ticks) > 7 and total else 0.0


def describe() -> dict[str, Any]:
    """CPU, cores, system, interpreter, versions, load: the `machine` part of a record."""
    info = _cpuinfo()
    flags = set(info.get("flags", info.get("Features", "")).split())
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": info.get("model name", platform.processor() or platform.machine()),
        "cpu_family": info.get("cpu family", ""),
        "cpu_model": info.get("model", ""),
        "cpu_level": _level(flags) if platform.machine() in ("x86_64", "AMD64") else platform.machine(),
        "cores": os.cpu_count(),
        "cores_available": available,
        "virtual": "hypervisor" in flags,
        # Without the local suffix, which names the host's build.
        "kernel": platform.release().partition("-")[0],
        "libc": " ".join(platform.libc_ver()),
        "python": platform.python_version(),
        "versions": versions(),
        "commit": _commit(),
        "load_at_start": [round(load, 2) for load in os.getloadavg()],
        "steal_since_boot": round(steal_fraction(), 4),
    }


def now() -> str:
    """UTC, to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def command_line(arguments: Sequence[str]) -> str:
    """The command without folders of the machine: a path keeps its last part only."""
    shown = [argument if os.sep not in argument else f".../{Path(argument).name}" for argument in arguments]
    return " ".join([f"python{sys.version_info.major}.{sys.version_info.minor} -m benches", *shown])
