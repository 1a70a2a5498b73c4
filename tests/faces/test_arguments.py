"""Wrong arguments: every public function, every argument, values of all kinds; nothing but errors of this package."""

from __future__ import annotations

import contextlib
import inspect
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file as save_safetensors

import swsfmt
import swsfmt.checkpoints as checkpoints
import swsfmt.torch
from swsfmt import InputError, SwsError, TensorNotFoundError
from swsfmt.write.options import SETTINGS

ARRAYS = {"a": np.zeros((3, 4), np.float32), "b.weight": np.arange(5)}
TENSORS = {name: torch.from_numpy(array) for name, array in ARRAYS.items()}
DATA = swsfmt.save(ARRAYS)
ELEMENTS = swsfmt.torch.from_tensor(TENSORS["a"])


class Odd:
    """Of no use to anybody."""

    def __repr__(self) -> str:
        raise RuntimeError


WRONG: list[Any] = [
    None, 5, -1, 0, 2.5, True, "nosuch", "", b"nosuch", b"", [], ["a"], {}, {"a": None}, {5: 6}, {"a": "b"}, {"a": []},
    Odd(), Odd, np.zeros(3), torch.ones(2), "a\0b", "\ud800", float("nan"), ..., 1j, slice(1), [("a", 1)], "x" * 5000,
    10**30, "nosuch://x", "file://",
]  # fmt: skip
CALLS: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (swsfmt.save, {"tensors": ARRAYS}),
    (swsfmt.save_file, {"tensors": ARRAYS, "filename": "out.sws"}),
    (swsfmt.load, {"data": DATA}),
    (swsfmt.load_file, {"filename": "a.sws"}),
    (swsfmt.safe_open, {"filename": "a.sws"}),
    (swsfmt.inspect, {"file": "a.sws"}),
    (swsfmt.verify, {"file": "a.sws"}),
    (swsfmt.torch.save, {"tensors": TENSORS}),
    (swsfmt.torch.save_file, {"tensors": TENSORS, "filename": "out.sws"}),
    (swsfmt.torch.save_model, {"model": torch.nn.Linear(2, 2), "filename": "out.sws"}),
    (swsfmt.torch.load, {"data": DATA}),
    (swsfmt.torch.load_file, {"filename": "a.sws"}),
    (swsfmt.torch.load_model, {"model": torch.nn.Linear(2, 2), "filename": "model.sws"}),
    (swsfmt.torch.safe_open, {"filename": "a.sws"}),
    (swsfmt.torch.from_tensor, {"tensor": TENSORS["a"]}),
    (swsfmt.torch.to_tensor, {"elements": ELEMENTS}),
    (swsfmt.torch.to_elements, {"tensors": TENSORS}),
    (checkpoints.open, {"file": "a.safetensors"}),
    (checkpoints.recognise, {"file": "a.safetensors"}),
    (checkpoints.convert, {"file": "a.safetensors", "out": "out.sws"}),
    (checkpoints.encoded_name, {"path": "a.pt"}),
    (checkpoints.decoded_name, {"out": "a.pt"}),
    (checkpoints.find, {"path": "."}),
    (checkpoints.check_output, {"out": "a.pt"}),
    (checkpoints.parse_size, {"size": "5GB"}),
    (swsfmt.Limits, {}),
    (swsfmt.Scaled, {"levels": np.zeros((4, 6), np.int8), "scales": np.float32(1)}),
    (swsfmt.torch.Scaled, {"levels": torch.zeros((4, 6), dtype=torch.int8), "scales": torch.ones(4, 1)}),
]


def arguments_of(function: Callable[..., Any]) -> Iterator[str]:
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            yield from SETTINGS
        else:
            yield parameter.name


ARGUMENTS = [(function, given, name) for function, given in CALLS for name in arguments_of(function)]


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("arguments"))
        swsfmt.save_file(ARRAYS, "a.sws")
        swsfmt.torch.save_model(torch.nn.Linear(2, 2), "model.sws")
        save_safetensors(ARRAYS, "a.safetensors")
        yield Path()


def check(call: Callable[[], Any]) -> None:
    """Nothing but an error of this package in one line, or of files. A function that is called may raise its own."""
    text = "nothing"
    with contextlib.suppress(OSError):
        try:
            call()
        except SwsError as error:
            text = str(error)
    assert len(text.splitlines()) == 1
    assert len(text) < 6000


@pytest.mark.parametrize(
    ("function", "given", "name"), ARGUMENTS, ids=[f"{f.__module__}.{f.__name__}-{name}" for f, _, name in ARGUMENTS]
)
def test_wrong_values(function: Callable[..., Any], given: dict[str, Any], name: str) -> None:
    for value in WRONG:
        if not (name == "step" and value is Odd):
            check(lambda value=value: function(**{**given, name: value}))


def test_every_public_function_is_tried() -> None:
    modules = (swsfmt, swsfmt.torch, checkpoints)
    public = {getattr(module, name) for module in modules for name in module.__all__}
    functions = {value for value in public if inspect.isfunction(value)}
    # They take what is open, and no program has that from elsewhere.
    assert functions - {function for function, _ in CALLS} == {checkpoints.decoded_paths, checkpoints.require_torch}


HANDLES: dict[str, Callable[[], Any]] = {
    "numpy": lambda: swsfmt.safe_open(DATA),
    "torch": lambda: swsfmt.torch.safe_open(DATA),
}


@pytest.mark.parametrize("kind", HANDLES)
def test_wrong_names_and_indices(kind: str) -> None:
    with HANDLES[kind]() as file:
        for value in WRONG:
            for method in (file.get_tensor, file.get_slice, file.get_parts):
                with pytest.raises((InputError, TensorNotFoundError)):
                    method(value)
        part = file.get_slice("a")
        for value in [
            *(value for value in WRONG if not isinstance(value, list)),
            (0, "x"),
            (0, 2.5),
            slice("a", 2),
            slice(0, 3, 0),
            slice(0, 3, 1.5),
            (0, slice(None, "b")),
        ]:
            try:
                part[value]
            except (InputError, IndexError):
                continue
            assert not isinstance(value, str | bytes | float | complex | dict)
        with pytest.raises(InputError, match="a str is no index"):
            part["a"]
        with pytest.raises(InputError, match="cannot be indexed by slice"):
            part[slice("a", 2)]
        # Iteration ends with an IndexError.
        assert len(list(part)) == 3


MUST_BE_REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: swsfmt.save(ARRAYS, ["x"]), r"metadata must be a mapping from strings to strings, not a list"),  # type: ignore[arg-type]
    (lambda: swsfmt.save(ARRAYS, []), r"metadata must be a mapping"),  # type: ignore[arg-type]
    (lambda: swsfmt.save(ARRAYS, profile=None), r"profile is None, it must be 'fast' or 'small'"),  # type: ignore[arg-type]
    (lambda: swsfmt.save(ARRAYS, threads="2"), r"threads is '2', it must be a whole number of 1 or more"),  # type: ignore[arg-type]
    (lambda: swsfmt.load(DATA, threads=0), r"threads is 0"),
    (lambda: swsfmt.load(DATA, limits=3), r"limits must be a swsfmt.Limits, not an int"),  # type: ignore[arg-type]
    (lambda: swsfmt.Limits(max_tensors="3"), r"max_tensors is '3', it must be a whole number of 0 or more"),  # type: ignore[arg-type]
    (lambda: swsfmt.save(ARRAYS, executor=3), r"executor must have the interface"),  # type: ignore[arg-type]
    (lambda: swsfmt.save_file(ARRAYS, None), r"filename must be a path, not None"),  # type: ignore[arg-type]
    (lambda: swsfmt.save_file(ARRAYS, "a\0b"), r"no path has a zero byte"),
    (lambda: swsfmt.load_file(None), r"filename must be a path, not None"),  # type: ignore[arg-type]
    (lambda: swsfmt.load_file(io.StringIO()), r"open for text; open it for bytes"),  # type: ignore[arg-type]
    (lambda: swsfmt.save_file(ARRAYS, io.StringIO()), r"open for text; open it for bytes"),  # type: ignore[arg-type]
    (lambda: swsfmt.safe_open(5), r"file must be a path, a URL or the bytes of a file, not an int"),  # type: ignore[call-overload]
    (lambda: swsfmt.safe_open(DATA).get_tensor([]), r"the name of a tensor must be a string, not a list"),  # type: ignore[arg-type]
    (lambda: swsfmt.safe_open(DATA).get_tensor("b.wieght"), r"no tensor 'b.wieght', did you mean 'b.weight'\?"),
    (lambda: swsfmt.load(DATA, out=[]), r"out must be a mapping from names to tensors, not a list"),  # type: ignore[arg-type]
    (lambda: swsfmt.load(DATA, out={"b.wieght": ARRAYS["a"]}), r"no name in `out` is that of a tensor"),
    (lambda: swsfmt.torch.load(DATA, out={"a": None}), r"None in `out` is not a tensor"),  # type: ignore[dict-item]
    (lambda: swsfmt.torch.load(DATA, device="nosuch"), r"'nosuch' is no device of torch"),
    (lambda: swsfmt.torch.load(DATA, dtype="nosuch"), r"dtype must be a torch.dtype, not a str"),  # type: ignore[arg-type]
    (lambda: swsfmt.torch.load(DATA, dtype=torch.int8), r"does not hold what floating-point tensors hold"),
    (lambda: swsfmt.torch.save_model(3, "a.sws"), r"model must be a torch.nn.Module, not an int"),  # type: ignore[arg-type]
    (lambda: swsfmt.save({None: ARRAYS["a"]}), r"the name of a tensor must be a string, not None"),  # type: ignore[dict-item]
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), MUST_BE_REFUSED, ids=[message for _, message in MUST_BE_REFUSED])
def test_what_the_error_says(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(SwsError, match=message):
        call()


# ---- options and names -----------------------------------------------------------------------------------------------

WITH_OPTIONS: dict[str, Callable[..., Any]] = {
    "save": lambda **options: swsfmt.save(ARRAYS, **options),
    "save_file": lambda **options: swsfmt.save_file(ARRAYS, "out.sws", **options),
    "save of torch": lambda **options: swsfmt.torch.save(TENSORS, **options),
    "save_file of torch": lambda **options: swsfmt.torch.save_file(TENSORS, "out.sws", **options),
    "save_model": lambda **options: swsfmt.torch.save_model(torch.nn.Linear(2, 2), "out.sws", **options),
    "convert": lambda **options: checkpoints.convert("a.safetensors", "out.sws", **options),
}


@pytest.mark.parametrize("name", WITH_OPTIONS)
def test_a_wrong_option_names_the_function_and_what_is_like_it(name: str) -> None:
    function = name.split()[0]
    with pytest.raises(
        TypeError, match=rf"^{function}\(\) got an unexpected keyword argument 'level'; the options are"
    ):
        WITH_OPTIONS[name](level=3)
    with pytest.raises(TypeError, match=rf"^{function}\(\) .* 'profil', did you mean 'profile'\?"):
        WITH_OPTIONS[name](profil="small")


@pytest.mark.parametrize("name", WITH_OPTIONS)
def test_a_name_that_is_no_tensor_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"profile: there is no tensor 'b.wieght'"):
        WITH_OPTIONS[name](profile={"b.wieght": "small"})


def test_names_of_tied_tensors_are_names() -> None:
    one = ARRAYS["a"]
    swsfmt.save({"a": one, "b": one}, profile={"b": "small"})


def test_near_matches_take_no_time_where_names_are_many_or_long() -> None:
    """Names come from files: a comparison of two that have 60,000 letters would take minutes."""
    names = [f"{'x' * 60_000}{number}" for number in range(20)]
    data = swsfmt.save(dict.fromkeys(names, ARRAYS["a"]))
    with swsfmt.safe_open(data) as file, pytest.raises(TensorNotFoundError) as caught:
        file.get_tensor("x" * 60_000 + "a")
    assert len(str(caught.value)) < 200


# ---- tensors and memory that are not what they seem ------------------------------------------------------------------


def in_vmap(function: Callable[[torch.Tensor], Any]) -> None:
    torch.vmap(lambda x: (function(x), x)[1])(torch.ones(3, 2))


def fake() -> torch.Tensor:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        return torch.zeros(3, 4)


def in_fake_mode(function: Callable[[], Any]) -> None:
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        function()


def load(out: torch.Tensor) -> None:
    swsfmt.torch.load(DATA, out={"a": out})


ODD_TENSORS: dict[str, Callable[[], Any]] = {
    "ZeroTensor": lambda: swsfmt.torch.save({"a": torch._efficientzerotensor(3)}),
    "vmap": lambda: in_vmap(lambda x: swsfmt.torch.save({"a": x})),
    "vmap, out": lambda: in_vmap(lambda x: load(x)),
    "grad": lambda: torch.func.grad(lambda x: (swsfmt.torch.save({"a": x}), x.sum())[1])(torch.ones(3)),
    "functionalize": lambda: torch.func.functionalize(lambda x: swsfmt.torch.save({"a": x}))(torch.ones(3)),
    "fake": lambda: swsfmt.torch.save({"a": fake()}),
    "fake, out": lambda: load(fake()),
    "fake mode": lambda: in_fake_mode(lambda: swsfmt.torch.save(TENSORS)),
    "proxy": lambda: torch.fx.symbolic_trace(lambda x: swsfmt.torch.save({"a": x})),
    "meta, out": lambda: load(torch.zeros(3, 4, device="meta")),
    "sparse, out": lambda: load(torch.zeros(3, 4).to_sparse()),
    "expanded, out": lambda: load(torch.zeros(1).expand(3, 4)),
    "expanded rows, out": lambda: load(torch.zeros(4).expand(3, 4)),
    "unfolded, out": lambda: load(torch.zeros(6).unfold(0, 4, 1)),
    "strided over itself, out": lambda: swsfmt.load(
        DATA, out={"a": np.lib.stride_tricks.as_strided(np.zeros(20, np.float32), (3, 4), (4, 4))}
    ),
    "array for torch": lambda: load(np.zeros((3, 4), np.float32)),  # type: ignore[arg-type]
    "tensor for NumPy": lambda: swsfmt.load(DATA, out={"a": torch.zeros(3, 4)}),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("name", ODD_TENSORS)
def test_odd_tensors(name: str) -> None:
    with pytest.raises(InputError) as caught:
        ODD_TENSORS[name]()
    assert caught.value.tensor == "a"
    assert len(str(caught.value).splitlines()) == 1


def test_views_that_do_not_overlap_are_filled() -> None:
    """Transposed, every other element, reversed, permuted."""
    for view in (
        np.zeros((4, 3), np.float32).T,
        np.zeros((6, 8), np.float32)[::2, ::2],
        np.zeros((3, 4), np.float32)[::-1, ::-1],
        np.zeros((3, 1, 4), np.float32).swapaxes(0, 1)[0],
    ):
        swsfmt.load(swsfmt.save({"a": ARRAYS["a"] + 7}), out={"a": view})
        assert (view == 7).all()


def test_a_profile_for_a_tied_name() -> None:
    """It is that of the tensor, unless its own name is given too."""
    array = (np.arange(4000) % 7 % 3 * 1.5).reshape(40, 100)
    tensors = {"a": array, "b": array}
    small, fast = (swsfmt.save(tensors, profile=profile) for profile in ("small", "fast"))
    assert small != fast
    assert swsfmt.save(tensors, profile={"b": "small"}) == small
    assert swsfmt.save(tensors, profile={"a": "fast", "b": "small"}) == fast
