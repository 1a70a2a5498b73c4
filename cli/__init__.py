"""The command `sws`."""
