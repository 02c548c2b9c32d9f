"""Which number format this machine computes in at full speed: what `engine.dtype = "auto"` means.

Reads what the kernel says of the processor and imports no torch, because the daemon asks. Called by
`agent.measured`; the answer is part of the engine's settings, so scores of two machines that answer differently
are never compared with one another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

__all__ = ["native_dtype"]

_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}  # x86 and, last, 64-bit Arm
_GPU = Path("/proc/driver/nvidia/version")
_CPU = Path("/proc/cpuinfo")


def native_dtype(cpu: Path = _CPU, gpu: Path = _GPU) -> Literal["float32", "bfloat16"]:
    """`bfloat16` beside a GPU or on a processor with instructions for it, else `float32`.

    Args:
        cpu: the kernel's description of the processor; a machine without one computes in float32.
        gpu: exists where a GPU's driver is loaded.
    """
    if gpu.exists():
        return "bfloat16"
    lines = cpu.read_text(encoding="utf-8").splitlines() if cpu.exists() else []
    flags = next((line for line in lines if line.lower().startswith(("flags", "features"))), "")
    return "bfloat16" if _BFLOAT16_FLAGS & set(flags.split()) else "float32"
