"""`rtpolyp doctor`: what works on this machine, what does not, why, and the fix."""

from rich.table import Table
from rich.text import Text

from rtpolyp.measure.doctor import Finding, diagnose
from rtpolyp.terminal.console import make_console

__all__ = ["doctor"]


def doctor(*, engine: str | None = None) -> int:
    """Say what is installed, which backends work and why others do not, and the fix for each problem.

    Exit code 0 says that `rtpolyp run` can do its job here, 1 that it cannot, 2 that what is computed here is
    wrong: a mask of the bundle's golden frame is not the one that it had where the bundle was exported.

    Parameters
    ----------
    engine
        The bundle, by name or folder, that engines are tried with; pranet-if by default.
    """
    console = make_console()
    findings = diagnose(engine)
    table = Table(box=None, show_header=False)
    for finding in findings:
        table.add_row(_mark(finding), finding.name, Text(finding.detail))  # which holds brackets: [train]
    console.print(table, highlight=False)
    if wrong := [finding.name for finding in findings if finding.wrong]:
        console.print(f"what is computed here is wrong: see {', '.join(wrong)}", highlight=False)
        return 2
    broken = [finding.name for finding in findings if finding.needed and not finding.works]
    if broken:
        console.print(f"rtpolyp run cannot work here: see {', '.join(broken)}", highlight=False)
        return 1
    console.print("rtpolyp run works here; what is marked – is not needed for it", highlight=False)
    return 0


def _mark(finding: Finding) -> Text:
    if finding.works:
        return Text("ok", style="green")
    return Text("NO", style="red") if finding.needed or finding.wrong else Text("–")
