"""Names of tensors: what two of them have in common."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swsfmt.format.names import _shared


@given(st.binary(max_size=40), st.binary(max_size=40), st.binary(max_size=40))
def test_shared_prefix(prefix: bytes, one: bytes, other: bytes) -> None:
    one, other = prefix + one, prefix + other
    most = max(size for size in range(len(one) + 1) if other.startswith(one[:size]))
    assert _shared(one, other) == most
