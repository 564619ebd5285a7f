"""`rtpolyp demo`: render a phantom clip, outline its polyps, and say how well it went."""

from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from rich.console import Console

from rtpolyp.cli.run import print_outcome, run_source
