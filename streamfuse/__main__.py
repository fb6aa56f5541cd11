"""``python -m streamfuse`` is the command line."""

from streamfuse.cli import main

if __name__ == "__main__":
    main()
