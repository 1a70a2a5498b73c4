"""Bits and the codes that fill them: bit order, canonical Huffman codes, code tables, bitmaps, symbol streams.

Nothing here knows of tensors or files. The modules, lowest first:

bits         fields and Elias gamma codes in a bit stream (spec 6.1, 6.2)
huffman      optimal code lengths of at most 12 bits, canonical codewords, the Kraft sum
prefix_code  a code ready for use, Huffman or fixed width (spec 6.3)
code_table   code lengths <-> bits (spec 6.4)
bitmap       live rows and columns <-> bits (spec 6.5)
kernels      symbols <-> bits, the only part where speed matters
"""
