"""What torch has and a file cannot hold: each is refused by name, in a line that says what to do."""

from __future__ import annotations

import io
import warnings
from typing import Any

import pytest
import torch
from torch import nn

import swsfmt
import swsfmt.torch
import swsfmt.torch_tensors
from swsfmt import InputError
from swsfmt.torch import save


def quantised() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(torch.zeros(3), 1.0, 0, torch.quint8)


def nested(**options: Any) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)], **options)


def compressed() -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.eye(3).to_sparse_csr()


BAD: dict[str, Any] = {
    "a number": 3,
    "None": None,
    "a list": [1.0],
    "a NumPy array": torch.zeros(3).numpy(),
    "a nested dict": {"weight": torch.zeros(3)},
    "a module": nn.Linear(1, 1),
    "sparse": torch.eye(3).to_sparse(),
    "compressed": compressed(),
    "quantised": quantised(),
    "meta": torch.empty(3, device="meta"),
    "nested": nested(),
    "jagged": nested(layout=torch.jagged),
    "65 dimensions": torch.zeros([1] * 65),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_stored(name: str) -> None:
    with pytest.raises(InputError) as caught:
        save({"good": torch.ones(3, 4), name: BAD[name]})
    assert caught.value.tensor == name
    assert len(str(caught.value).splitlines()) == 1


class Counting(nn.Linear):
    """A module with a state beside its tensors, as layers of libraries for FP8 have it."""

    def get_extra_state(self) -> Any:
        return {"calls": 3}

    def set_extra_state(self, state: Any) -> None:
        pass


def test_extra_state() -> None:
    model = nn.Sequential(Counting(2, 2))
    with pytest.raises(InputError, match=r"this is a dict, not a tensor; a module's get_extra_state\(\)") as caught:
        swsfmt.torch.save_model(model, io.BytesIO())
    assert caught.value.tensor == "0._extra_state"
    # As it advises.
    assert "{name: t for name, t in model.state_dict().items() if not name.endswith('_extra_state')}" in str(caught)
    file = io.BytesIO(save({n: t for n, t in model.state_dict().items() if not n.endswith("_extra_state")}))
    assert "strict=False" in str(caught)
    missing = swsfmt.torch.load_model(model, file, strict=False)
    assert missing == (["0._extra_state"], [])


@pytest.mark.parametrize("name", [1, None, ("a", "b"), b"bytes", "\ud800"])
def test_names_that_cannot_be_stored(name: Any) -> None:
    with pytest.raises(InputError):
        save({name: torch.ones(3, 4)})


def test_tensors_without_plain_elements_are_refused() -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        fake = torch.zeros(3)
    for tensor, message in (
        (fake, "a FakeTensor is not a plain tensor"),
        (torch.nn.LazyLinear(4).weight, "lazy parameter"),
    ):
        with pytest.raises(swsfmt.InputError, match=message) as caught:
            save({"w": tensor})
        assert caught.value.tensor == "w"
