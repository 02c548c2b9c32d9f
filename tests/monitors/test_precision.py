"""What `engine.dtype = "auto"` means on a machine."""

import pytest

from monitors.precision import native_dtype


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("processor : 0\nflags\t\t: fpu avx512f avx512_bf16 vnmi\n", "bfloat16"),
        ("Features : fp asimd bf16 i8mm\n", "bfloat16"),
        ("processor : 0\nflags\t\t: fpu avx2 avx512f\n", "float32"),
        ("model name : avx512_bf16\nflags : fpu\n", "float32"),
    ],
)
def test_bfloat16_is_taken_where_the_processor_computes_in_it(tmp_path, description, expected):
    cpu = tmp_path / "cpuinfo"
    cpu.write_text(description)
    assert native_dtype(cpu, tmp_path / "no-gpu") == expected


def test_a_gpu_computes_in_bfloat16(tmp_path):
    (tmp_path / "gpu").touch()
    assert native_dtype(tmp_path / "none", tmp_path / "gpu") == "bfloat16"


def test_an_unknown_processor_computes_in_float32(tmp_path):
    assert native_dtype(tmp_path / "none", tmp_path / "none") == "float32"
