"""Reasons to doubt a measurement, each with the remedy."""

from rtpolyp.measure.benchmark.conditions import Conditions
from rtpolyp.measure.benchmark.samples import Measurement

__all__ = ["describe", "doubts"]

VARIATION = 0.025  # trtexec's: a steadier device's compute time varies less
ENQUEUE = 0.8  # trtexec's: from this share of the compute time on, the host may be what limits
STEAL = 0.005  # share of time; a machine of one's own has none
PRESSURE = 0.2  # share of time; a single request's own threads, one a core, make less


def doubts(measurement: Measurement) -> list[str]:
    """One line for each reason why the figures may not repeat."""
    figures, conditions = measurement.figures, measurement.conditions
    found = []
    if (compute := figures.get("compute")) is not None:
        if compute.variation > VARIATION:
            found.append(
                f"compute time is unstable (coefficient of variation {compute.variation:.1%}, over "
                f"{VARIATION:.1%}): end other programs, fix the clock, or take a longer duration"
            )
        if figures["enqueue"].median > ENQUEUE * compute.median:
            found.append("enqueueing takes as long as computing: the host limits, so use a larger batch")
    if (conditions.steal or 0) > STEAL:
        found.append(f"the hypervisor stole {conditions.steal:.1%} of the time: use a machine of your own")
    if measurement.headline == "latency" and (conditions.pressure or 0) > PRESSURE:
        found.append(f"{conditions.pressure:.0%} of the time a task waited for a core: end other programs")
    if conditions.throttled_seconds:
        found.append(
            f"a quota held this process back for {conditions.throttled_seconds:.2f} s: raise the container's "
            "limit, or lower the number of threads to it"
        )
    if conditions.thermal_events:
        found.append(f"cores were too hot {conditions.thermal_events} times: cool the machine")
    return found


def describe(conditions: Conditions) -> str:
    """One line; "unknown" where the system does not tell."""
    steal = "unknown" if conditions.steal is None else f"{conditions.steal:.1%}"
    pressure = "unknown" if conditions.pressure is None else f"{conditions.pressure:.0%}"
    throttled = "unknown" if conditions.throttled_seconds is None else f"{conditions.throttled_seconds:.2f} s"
    thermal = "unknown" if conditions.thermal_events is None else str(conditions.thermal_events)
    return f"steal {steal}, waiting for a core {pressure}, throttled {throttled}, too hot {thermal}"
