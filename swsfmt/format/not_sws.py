"""What a file is that is not a .sws file, told by its first bytes: one clear line instead of a parser's complaint."""

from __future__ import annotations

from ..errors import NotSwsError

GIT_LFS_POINTER = "this is a git-lfs pointer, not the file itself; run git lfs pull"


def is_git_lfs_pointer(head: bytes) -> bool:
    """What git has in place of a large file that has not been fetched."""
    return head.startswith(b"version https://git-lfs")


def is_zip(head: bytes) -> bool:
    return head.startswith(b"PK\x03\x04")


def is_pickle(head: bytes) -> bool:
    """Of protocol 2 or later."""
    return head.startswith(b"\x80")


def is_safetensors(head: bytes) -> bool:
    """The length of a header in JSON, and the header."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32


def not_sws(data: bytes, signature: bytes) -> NotSwsError:
    """The error for a file that begins with `data`, at least 32 bytes of it if it has them."""
    if not data:
        return NotSwsError("the file is empty")
    if len(data) < len(signature) and signature.startswith(data):
        return NotSwsError("the file ends within its signature")
    if is_git_lfs_pointer(data):
        return NotSwsError(GIT_LFS_POINTER)
    if is_zip(data):
        return NotSwsError("this is a zip file, perhaps a PyTorch checkpoint; `sws encode` makes a .sws file of it")
    if is_safetensors(data):
        return NotSwsError("this is a safetensors file; `sws encode` makes a .sws file of it")
    if is_pickle(data):
        return NotSwsError(
            "this is a Python pickle, perhaps an old PyTorch checkpoint; `sws encode` makes a .sws file of it"
        )
    if data[1:4] == signature[1:4]:
        return NotSwsError("the signature is damaged, as after a transfer in text mode")
    return NotSwsError("the file does not begin with the signature of .sws files")
