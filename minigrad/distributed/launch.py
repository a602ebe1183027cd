"""The older launcher: minigrad.distributed.run, whose programs get --local-rank=N unless --use-env is given.

Source: https://docs.pytorch.org/docs/stable/distributed.html#launch-utility
"""

import sys

from minigrad.distributed.run import main

if __name__ == "__main__":
    sys.exit(main(name="launch"))
