"""Does a gate let through what it must not, and does it let through what it must?

    python benchmarks/gatebench.py [--repetitions 2]

Hundreds of faults, each with a healthy twin that must pass, beside the published rules of other systems. What is in it
stands in `benchmarks/gatebench/`. Results go to `benchmarks/results/gatebench.json`; the exit code is 1 when a limit is
missed.
"""

import sys

from gatebench.run import main

if __name__ == "__main__":
    sys.exit(main())
