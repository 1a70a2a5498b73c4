"""Bytes <-> structures, pure and without input or output: what spec/sws-1.0.md says of the file around the payloads.

cursor, names, sections, checksum, codebook   the parts of the index
resources                                     what records refer to by number
records                                       a tensor in the index, read and to be written
index                                         header and index as a whole
not_sws                                       what a file is that is none
"""
