"""Fail where the pinned dependencies are so old that holes in them are likely known by now.

python scripts/check_pins.py [--today YYYY-MM-DD] [constraints.txt]

The file says when its versions were resolved, in a line `# resolved on YYYY-MM-DD`. Exit code 1 after
MOST_DAYS, 2 where there is no such line.
"""

import datetime
import re
import sys
from pathlib import Path

from rtpolyp.terminal.command_line import make_app, run_app

MOST_DAYS = 180
RESOLVED = re.compile(r"^# resolved on (\d{4}-\d{2}-\d{2})$", re.MULTILINE)


app = make_app("python scripts/check_pins.py", __doc__, help_format="plaintext")


@app.default
def main(pins: Path = Path("constraints.txt"), /, *, today: datetime.date | None = None) -> int:
    """Check and report.

    Parameters
    ----------
    pins
        The pinned dependencies.
    today
        The day to count from, in place of today.
    """
    found = RESOLVED.search(pins.read_text())
    if found is None:
        print(f"{pins}: no line '# resolved on YYYY-MM-DD'; add the day of its versions")
        return 2
    days = ((today or datetime.date.today()) - datetime.date.fromisoformat(found[1])).days
    if days > MOST_DAYS:
        print(f"{pins}: resolved {days} days ago, and {MOST_DAYS} are allowed; update the versions")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
