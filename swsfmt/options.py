"""What every save function takes as keyword arguments: for those who pass them on, with types or as `Options`.

def save_smallest(tensors: Mapping[str, Array], **options: Unpack[EncodingOptions]) -> bytes:
    return swsfmt.save(tensors, **{"profile": "small", **options})
"""

from .write.options import SETTINGS, EncodingOptions, Options, Setting

__all__ = ["SETTINGS", "EncodingOptions", "Options", "Setting"]
