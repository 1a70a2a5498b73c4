"""The C extension. Everything else is in pyproject.toml."""

import sysconfig
from pathlib import Path

from setuptools import Extension, setup

# The kernels of the format, and the one of the quantiser.
NATIVE = {
    "swsfmt.entropy._native": Path("swsfmt", "entropy", "native"),
    "sws.quantize.kernels._native": Path("sws", "quantize", "kernels", "native"),
}

# One build for all versions of CPython from 3.11 on, but for those without the global lock: these have no stable ABI.
stable = not sysconfig.get_config_var("Py_GIL_DISABLED")
# Asserts are for debug builds of Python and for scripts/sanitize.py.
macros = [] if sysconfig.get_config_var("Py_DEBUG") else [("NDEBUG", "1")]

setup(
    ext_modules=[
        Extension(
            name,
            sources=sorted(path.as_posix() for path in folder.glob("*.c")),
            depends=sorted(path.as_posix() for path in folder.glob("*.h")),
            define_macros=[*macros, ("Py_LIMITED_API", "0x030b0000")] if stable else macros,
            # Floats come out the same everywhere: no compiler makes one operation of two.
            extra_compile_args=["-O3", "-ffp-contract=off", "-fno-trapping-math"],
            py_limited_api=stable,
            # Where there is no compiler, or a machine that it refuses, the package works without it, slower.
            optional=True,
        )
        for name, folder in NATIVE.items()
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if stable else {},
)
