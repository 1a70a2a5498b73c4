"""The reading wing: from a file to elements. It never imports `swsfmt.write`.

source    where bytes come from: a path, a URL, memory
reader    an open file: its index, single tensors, rows of them
progress  how many tensors of an open file have been decoded
tensors   all tensors of an open file
report    where every byte went
"""
