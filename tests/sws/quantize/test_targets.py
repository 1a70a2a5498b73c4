"""The search for a target: hit within 1 %, in few attempts, and what cannot be reached is said."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from sws.quantize.targets import Attempt, Target, parse_bytes, search
from swsfmt import InputError, SwsWarning

WEIGHTS = 1_000_000


def network(step: float) -> Attempt:
    """Gaussian weights of deviation 1, about: bits of an entropy-coded grid, an error that grows with the step."""
    bits = 0.5 * math.log2(1 + 17.08 / step**2)
    return Attempt(step, round(20_000 + WEIGHTS / 8 * bits), error=0.03 * step**1.7 / (1 + 0.03 * step**1.7))


def within(value: float, asked: float) -> bool:
    return 0.99 * asked <= value <= asked


@pytest.mark.parametrize("start", [1e-3, 0.3, 1.0, 100.0])
@pytest.mark.parametrize("size", [22_000, 60_000, 250_000, 700_000])
def test_a_size_is_hit(size: int, start: float) -> None:
    tried: list[Attempt] = []
    assert within(search(Target.size(size), network, elements=WEIGHTS, start=start, tried=tried).bytes, size)
    assert len(tried) <= (4 if start in (0.3, 1.0) and size > 200_000 else 12)
    assert len({one.step for one in tried}) == len(tried)


@pytest.mark.parametrize("bits", [0.3, 2.0, 3.5, 6.0])
def test_bits_are_hit(bits: float) -> None:
    got = search(Target.bits(bits), network, elements=WEIGHTS)
    assert within(8 * got.bytes / WEIGHTS, bits)


@pytest.mark.parametrize("error", [1e-4, 0.01, 0.3])
def test_an_error_is_hit(error: float) -> None:
    tried: list[Attempt] = []
    got = search(Target.error(error), network, elements=WEIGHTS, tried=tried)
    assert got.error is not None
    assert within(got.error, error)
    assert len(tried) <= 7


def test_a_step_is_used_as_it_is() -> None:
    calls: list[float] = []

    def attempt(step: float) -> Attempt:
        calls.append(step)
        return network(step)

    assert search(Target.step(0.7), attempt, elements=WEIGHTS).step == 0.7
    assert calls == [0.7]


def test_what_was_tried_before_is_not_tried_again() -> None:
    tried: list[Attempt] = []
    first = search(Target.size("300kB"), network, elements=WEIGHTS, tried=tried)

    def never(step: float) -> Attempt:
        raise AssertionError(step)

    assert search(Target.size("300kB"), never, elements=WEIGHTS, tried=[*tried]) == first


def raising(target: Target, attempt: Callable[[float], Attempt]) -> str:
    tried: list[Attempt] = []
    with pytest.raises(InputError, match="cannot be reached") as error:
        search(target, attempt, elements=WEIGHTS, tried=tried)
    assert len(tried) <= 24
    return str(error.value)


def test_too_small() -> None:
    message = raising(Target.size(15_000), network)
    assert "15,000 bytes" in message
    assert "the least that comes out is 20," in message


def test_too_large() -> None:
    def at_most(step: float) -> Attempt:
        return Attempt(step, min(network(step).bytes, 400_000))

    message = raising(Target.size("5MB"), at_most)
    assert "the most that comes out is 400,000 bytes" in message
    assert "sws encode" in message


def test_a_method_with_few_sizes_names_the_nearest() -> None:
    def stairs(step: float) -> Attempt:
        return Attempt(step, 100_000 * max(1, round(8 - math.log2(step))))

    message = raising(Target.size(650_000), stairs)
    assert "the nearest are 600,000 bytes and 700,000 bytes" in message
    assert search(Target.size(700_000), stairs, elements=WEIGHTS).bytes == 700_000


def rough(step: float) -> Attempt:
    """An error that goes up and down by a few per cent, as that of a small network on a few inputs does."""
    return Attempt(step, 1000, error=0.03 * step * (1 + 0.03 * math.sin(4e4 * step)))


@pytest.mark.parametrize("error", [0.011, 0.02, 0.0305, 0.04])
def test_an_error_that_is_rough(error: float) -> None:
    tried: list[Attempt] = []
    got = search(Target.error(error), rough, elements=WEIGHTS, tried=tried)
    assert got.error is not None
    assert 0.95 * error <= got.error <= error
    assert got == max((one for one in tried if one.error <= error), key=lambda one: one.error)  # type: ignore[operator, arg-type, return-value]
    assert len(tried) <= 24


def test_a_jump_of_less_than_five_per_cent_is_no_reason_to_give_up() -> None:
    def jump(step: float) -> Attempt:
        return Attempt(step, 1030 if step < 0.7 else 970)

    assert search(Target.size(1000), jump, elements=WEIGHTS).bytes == 970


def test_an_error_that_jumps_across_the_target() -> None:
    """As that of few inputs may: the smallest file within the limit, and a word about it."""

    def jump(step: float) -> Attempt:
        return Attempt(step, round(1000 / step), error=0.01 if step < 0.7 else 0.03)

    tried: list[Attempt] = []
    with pytest.warns(SwsWarning, match=r"target of 0\.02; this file has 0\.01\."):
        got = search(Target.error(0.02), jump, elements=WEIGHTS, tried=tried)
    assert got.error == 0.01
    assert got.bytes == min(one.bytes for one in tried if one.error == 0.01)
    assert "the least that comes out is error 0.01" in raising(Target.error(0.005), jump)


def test_outputs_that_are_not_finite() -> None:
    with pytest.raises(InputError, match="not finite"):
        search(Target.error(0.1), lambda step: Attempt(step, 10, math.nan), elements=WEIGHTS)


def test_sizes_in_words() -> None:
    assert parse_bytes("6.8MB") == 6_800_000
    assert parse_bytes("1.5 GiB") == 3 << 29
    assert parse_bytes("5MB") == parse_bytes("5 MB") == parse_bytes(5_000_000) == 5_000_000
    for wrong in ("many", "1.5", "-1MB", "1.5XB", ""):
        with pytest.raises(InputError):
            parse_bytes(wrong)


@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "3", True])
def test_what_is_no_target(value: float) -> None:
    with pytest.raises(InputError):
        Target.bits(value)
    with pytest.raises(InputError):
        Target("bytes", 3)
