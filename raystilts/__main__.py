"""`python -m raystilts`: the command line, where its script is not on the path."""

from raystilts.cli import script

if __name__ == "__main__":
    script()
