"""`python -m codec.cli` is the command `codec`."""

from codec.cli import main

if __name__ == "__main__":
    main()
