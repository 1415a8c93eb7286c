"""`python -m kalamdb`: the command `kalam`, where it is not on the path."""

from kalamdb.cli import main

if __name__ == "__main__":
    main()
