"""`python -m ringback.assembly`: the command line, for where the `ringback` script is not on the path."""

from ringback.assembly.cli import main

if __name__ == "__main__":
    main()
