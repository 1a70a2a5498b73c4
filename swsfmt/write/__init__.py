"""The writing wing: from elements to a file.

options           what a caller may fix
examine           one tensor: what codings propose for it, and its payload
codebook_groups   which tensors share a codebook
file              all tensors: choose, number, write
savings           what the profile small has saved, for reports
executors         where the work on single tensors is done
atomic            files that are there whole or not at all
"""
