"""Fail where the pinned dependencies are so old that holes in them are likely known by now.

python scripts/check_pins.py [--today YYYY-MM-DD] [constraints.txt]

The file says when its versions were resolved, in a line `# resolved on YYYY-MM-DD`. Exit code 1 after
MOST_DAYS, 2 where there is no such line.
"""

import argparse
import datetime
import re
import sys
from pathlib import Path

MOST_DAYS = 180
RESOLVED = re.compile(r"^# resolved on (\d{4}-\d{2}-\d{2})$", re.MULTILINE)


def main() -> int:
    """Check and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("pins", nargs="?", type=Path, default=Path("constraints.txt"))
    parser.add_argument("--today", type=datetime.date.fromisoformat, default=datetime.date.today())
    options = parser.parse_args()
    found = RESOLVED.search(options.pins.read_text())
    if found is None:
        print(f"{options.pins}: no line '# resolved on YYYY-MM-DD'; add the day of its versions")
        return 2
    days = (options.today - datetime.date.fromisoformat(found[1])).days
    if days > MOST_DAYS:
        print(f"{options.pins}: resolved {days} days ago, and {MOST_DAYS} are allowed; update the versions")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
