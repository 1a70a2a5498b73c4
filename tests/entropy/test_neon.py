"""The variant of the rANS decoder for ARM, with an emulator: it decodes what this machine encoded."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from swsfmt.entropy import rans
from swsfmt.entropy.frequencies import frequencies_of, levels_of
from swsfmt.entropy.rans import Classes

NATIVE = Path(rans.__file__).parent / "native"

# Reads numbers and arrays in the order in which `test_neon` writes them; its result is the elements.
PROGRAM = r"""
#include <stdio.h>
#include "rans_chunk.h"

static void *take(size_t size)
{
    void *data = malloc(size + 1);
    if (fread(data, 1, size, stdin) != size)
        exit(2);
    return data;
}

int main(void)
{
    uint64_t *n = take(8 * 9);
    enum { ROWS, COLUMNS, OF_ROWS, OF_COLUMNS, ALPHABET, BITS, LANES, BYTES, SIZE };
    uint8_t *rows = take(n[ROWS]), *columns = take(n[COLUMNS]);
    Classes c = {rows, columns, n[ROWS], n[COLUMNS], n[OF_ROWS], n[OF_COLUMNS]};
    uint16_t *frequencies = take(2 * n[OF_ROWS] * n[OF_COLUMNS] * n[ALPHABET]);
    uint8_t *elements = take(n[ALPHABET] * n[BYTES]), *data = take(n[SIZE]);
    uint8_t *out = malloc(n[ROWS] * n[COLUMNS] * n[BYTES]);
    RansTables *t = make_rans_tables(frequencies, (int)n[BITS], &c, n[ALPHABET], elements, (int)n[BYTES]);
    ChunkDecoder d = {t, decoder_of(n[LANES], 1), bit_decoder_of(n[LANES], 1), n[LANES], elements, (int)n[BYTES]};
    uint32_t *order;
    if (t == NULL || d.decode == decode_portable || !rows_by_class(&c, &order))
        return 3;
    if (!decode_rans_chunk(&d, &c, order, data, n[SIZE], out))
        return 4;
    fwrite(out, 1, n[ROWS] * n[COLUMNS] * n[BYTES], stdout);
    return 0;
}
"""


@pytest.fixture(scope="module")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command that runs the program, compiled for ARM."""
    emulator = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if emulator is None:
        pytest.skip("there is no emulator of ARM: qemu-aarch64")
    for compiler in (["aarch64-linux-gnu-gcc", "-static"], ["zig", "cc", "-target", "aarch64-linux-musl"]):
        if shutil.which(compiler[0]):
            break
    else:
        compiler = [sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-musl"]
        if subprocess.run([*compiler[:3], "version"], capture_output=True, check=False).returncode:
            pytest.skip("there is no compiler for ARM: aarch64-linux-gnu-gcc, or pip install ziglang")
    folder = tmp_path_factory.mktemp("neon")
    (folder / "main.c").write_text(PROGRAM)
    flags = ["-std=c99", "-O2", "-Wall", "-Wextra", "-Werror", f"-I{NATIVE}", f"-I{sysconfig.get_path('include')}"]
    done = subprocess.run(
        [*compiler, *flags, folder / "main.c", "-o", folder / "main"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode()
    return [emulator, str(folder / "main")]


@pytest.mark.slow
@pytest.mark.parametrize("lanes", [8, 16, 32, 64])
@pytest.mark.parametrize("dtype", ["u1", "u2", "u4", "u8"])
@pytest.mark.parametrize("shape", [(60, 300), (700, 7)], ids=str)
def test_neon(emulated: list[str], lanes: int, dtype: str, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(lanes)
    rows, columns = (rng.integers(0, 3, count).astype(np.uint8) for count in shape)
    classes = Classes(rows, columns, 3, 3)
    spread = 1.0 + rows[:, None] + 2 * columns
    symbols = np.minimum(rng.geometric(1 / spread) - 1, 29).astype(np.uint16)
    frequencies = frequencies_of(levels_of(rans.counts(symbols, classes, 30)), 11)
    elements = (np.arange(30) * 7 + 1).astype(dtype)
    (code,) = rans.encode(symbols, shape[0], classes, frequencies, 11, lanes)
    numbers = np.array([*shape, 3, 3, 30, 11, lanes, elements.itemsize, len(code)], "<u8")
    given = b"".join(array.tobytes() for array in (numbers, rows, columns, frequencies, elements)) + code
    done = subprocess.run(emulated, input=given, capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stdout == elements[symbols].tobytes()
    assert (
        subprocess.run(
            emulated, input=given[:-1] + bytes([given[-1] ^ 255]), capture_output=True, check=False
        ).returncode
        == 4
    )
