"""Bits and the codes that fill them: bit order, canonical Huffman codes, code tables, bitmaps, symbol streams.

Nothing here knows of tensors or files. The modules, lowest first:

protocol        what a kernel is: one signature for C and Python
native/         the kernels in C, built as the module `_native`
twin/           the same kernels in Python
backend         which of the two is at work
bits            fields and Elias gamma codes in a bit stream (spec 6.1, 6.2)
huffman         optimal code lengths of at most 12 bits, canonical codewords, the Kraft sum
prefix_code     a code ready for use, Huffman or fixed width (spec 6.3)
code_table      code lengths <-> bits (spec 6.4)
bitmap          live rows and columns <-> bits (spec 6.5)
kernels         symbols <-> bits and elements
adaptive_model  how the adaptive coder sees a matrix
adaptive        symbols of a matrix <-> bytes, with contexts that adapt (spec 6.6)
"""
