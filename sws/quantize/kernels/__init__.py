"""The one loop of the quantiser that is no product of matrices, in C and in Python."""
