"""What a file is, told by its first bytes. The one place that knows the signatures of other formats.

No two of these can be true of one file, so that nobody has to ask in a certain order.
"""

from __future__ import annotations

import codecs

from ..errors import NotSwsError

HEAD = 1 << 17
"""So many first bytes tell what a file is: the name of the first file in a zip archive may have 65,535."""

GIT_LFS_POINTER = "this is a git-lfs pointer, not the file itself; run git lfs pull"

# Producer, its version, domain, version of the model, text, graph, operators, metadata: their tags.
_ONNX_FIELDS = {bytes([tag]) for tag in (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42, 0x72)}
_BLANKS = b" \t\r\n"
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# The library safetensors reads no longer header.
_LONGEST_HEADER = 100_000_000
_ZIP_OF_NOTHING = b"PK\x05\x06"
# What is often taken for a checkpoint: where the signature is, the signature, and a name with its article.
_OTHERS = (
    (0, b"\x1f\x8b", "a gzip file; unpack it first"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd file; unpack it first"),
    (0, b"BZh", "a bzip2 file; unpack it first"),
    (0, b"\xfd7zXZ\0", "an xz file; unpack it first"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras writes; save the arrays with numpy.savez"),
    (
        257,
        b"ustar",
        "a tar archive, perhaps a PyTorch checkpoint from before 2017; load it with torch and save it again",
    ),
)


def is_git_lfs_pointer(head: bytes) -> bool:
    """What git has in place of a large file that has not been fetched."""
    return head.startswith(b"version https://git-lfs")


def is_safetensors(head: bytes) -> bool:
    """The length of a header in JSON, and the header, which may begin with blanks.

    The length is any number, so that its bytes may look like the signature of another format; what no such format has
    is the four zeros in its upper half, and the brace behind.
    """
    length = int.from_bytes(head[:8], "little")
    header = head[8 : 8 + length].lstrip(_BLANKS)
    only_blanks = len(head) >= HEAD and not header
    return 2 <= length <= _LONGEST_HEADER and (header.startswith(b"{") or only_blanks)


def is_npz(head: bytes) -> bool:
    """A zip archive whose first file is an array of NumPy, or one of nothing."""
    if head.startswith(_ZIP_OF_NOTHING):
        return True
    length = int.from_bytes(head[26:28], "little")
    return _is_any_zip(head) and head[30 : 30 + length].endswith(b".npy")


def is_npy(head: bytes) -> bool:
    return head.startswith(b"\x93NUMPY")


def is_zip(head: bytes) -> bool:
    """Another zip archive, as those that torch writes."""
    return _is_any_zip(head) and not is_npz(head)


def _is_any_zip(head: bytes) -> bool:
    return head.startswith(b"PK\x03\x04") and not is_safetensors(head)


def is_pickle(head: bytes) -> bool:
    """Of protocols 2 to 5."""
    return head.startswith(b"\x80") and head[1:2] in (b"\2", b"\3", b"\4", b"\5") and not is_safetensors(head)


def is_gguf(head: bytes) -> bool:
    return head.startswith(b"GGUF")


def is_onnx(head: bytes) -> bool:
    """A message of protobuf that begins as a ModelProto: version of ONNX, and another of its fields."""
    # Tags of all fields that may come next, but for those that have two bytes.
    return head[:1] == b"\x08" and b"\x00" < head[1:2] < b"\x40" and head[2:3] in _ONNX_FIELDS


def is_json_object(head: bytes) -> bool:
    """Behind a byte order mark or blanks, if they are there."""
    text = head
    for mark in _MARKS:
        text = text.removeprefix(mark)
    return text.lstrip(_BLANKS + b"\0").startswith(b"{") and not is_safetensors(head)


def other_kind(head: bytes) -> str | None:
    """What a file is that nobody here reads, and what to do; None where that is not known."""
    return next((name for start, mark, name in _OTHERS if head[start:].startswith(mark)), None)


def not_sws(data: bytes, signature: bytes) -> NotSwsError:
    """The error for a file that begins with `data`, at least 32 bytes of it if it has them."""
    if not data:
        return NotSwsError("the file is empty")
    if len(data) < len(signature) and signature.startswith(data):
        return NotSwsError("the file ends within its signature")
    if is_git_lfs_pointer(data):
        return NotSwsError(GIT_LFS_POINTER)
    for is_such, name in (
        (is_safetensors, "a safetensors file"),
        (is_zip, "a zip file, perhaps a PyTorch checkpoint"),
        (is_npz, "a file of NumPy arrays"),
        (is_npy, "a file of a NumPy array"),
        (is_gguf, "a GGUF file"),
        (is_pickle, "a Python pickle, perhaps an old PyTorch checkpoint"),
    ):
        if is_such(data):
            return NotSwsError(f"this is {name}; `sws encode` makes a .sws file of it")
    other = other_kind(data)
    if other is not None:
        return NotSwsError(f"this is {other}")
    if data[1:4] == signature[1:4]:
        return NotSwsError("the signature is damaged, as after a transfer in text mode")
    return NotSwsError("the file does not begin with the signature of .sws files")
