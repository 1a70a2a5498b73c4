"""Who has no C kernels is told so before it takes long: once, and not where the others were asked for."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import numpy as np
import pytest

import swsfmt
from swsfmt.entropy import backend

LARGE = (np.arange(1 << 17) % 7 + 1).astype(np.float32)


@pytest.fixture
def without_c(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("SWS_KERNELS", raising=False)
    monkeypatch.setattr(backend, "warned", False)
    with backend.use(backend.BITARRAY):
        monkeypatch.setattr(backend, "_is_chosen", False)
        yield


@pytest.mark.usefixtures("without_c")
def test_one_warning() -> None:
    with pytest.warns(swsfmt.SwsWarning, match="the C kernels of swsfmt are missing.*C compiler") as seen:
        swsfmt.save({"a": LARGE, "b": LARGE[::-1]})
    assert len(seen) == 1


@pytest.mark.usefixtures("without_c")
@pytest.mark.parametrize("density", [1, 0.5])
def test_loading_warns_too(density: float, monkeypatch: pytest.MonkeyPatch) -> None:
    values = LARGE * (np.random.default_rng(0).random(len(LARGE)) < density)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = swsfmt.save({"a": np.tile(values, 2)}, profile="fast")
    monkeypatch.setattr(backend, "warned", False)
    with pytest.warns(swsfmt.SwsWarning, match="the C kernels"):
        swsfmt.load(data)


@pytest.mark.usefixtures("without_c")
def test_the_slow_profile_warns_sooner() -> None:
    small = LARGE[:1600].reshape(40, 40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        swsfmt.save({"a": small})
    with pytest.warns(swsfmt.SwsWarning, match="the C kernels"):
        swsfmt.save({"a": small}, profile="small")


@pytest.mark.usefixtures("without_c")
def test_no_warning_where_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SWS_KERNELS", backend.BITARRAY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        swsfmt.load(swsfmt.save({"a": LARGE}))


def test_no_warning_where_a_test_chose_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "warned", False)
    with backend.use(backend.BITARRAY), warnings.catch_warnings():
        warnings.simplefilter("error")
        swsfmt.load(swsfmt.save({"a": LARGE}))


def test_no_warning_with_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "warned", False)
    if backend.active() == backend.BITARRAY:
        pytest.skip("the extension is not built")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        swsfmt.load(swsfmt.save({"a": LARGE}))
