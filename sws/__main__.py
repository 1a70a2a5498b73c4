"""`python -m sws` is the command `sws`."""

from .cli import main

if __name__ == "__main__":
    main()
