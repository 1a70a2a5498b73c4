"""What a file is that is not a .sws file: one clear line instead of a parser's complaint."""

from __future__ import annotations

from ..errors import NotSwsError


def not_sws(data: bytes, signature: bytes) -> NotSwsError:
    """The error for a file that begins with `data`, at least 32 bytes of it if it has them."""
    if not data:
        return NotSwsError("the file is empty")
    if len(data) < len(signature) and signature.startswith(data):
        return NotSwsError("the file ends within its signature")
    if data.startswith(b"version https://git-lfs"):
        return NotSwsError("this is a git-lfs pointer, not the file itself; run `git lfs pull`")
    if data.startswith(b"PK\x03\x04"):
        return NotSwsError("this is a zip file, perhaps a PyTorch checkpoint; `sws encode` makes a .sws file of it")
    if len(data) > 8 and data[8:9] == b"{" and int.from_bytes(data[:8], "little") < 1 << 32:
        return NotSwsError("this is a safetensors file; `sws encode` makes a .sws file of it")
    if data.startswith(b"\x80"):
        return NotSwsError(
            "this is a Python pickle, perhaps an old PyTorch checkpoint; `sws encode` makes a .sws file of it"
        )
    if data[1:4] == signature[1:4]:
        return NotSwsError("the signature is damaged, as after a transfer in text mode")
    return NotSwsError("the file does not begin with the signature of .sws files")
