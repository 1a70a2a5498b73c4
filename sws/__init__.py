"""The trainer: soft weight-sharing for PyTorch models. Only the command line (`sws.cli`) is here so far."""
