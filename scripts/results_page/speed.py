"""How fast the runtime is, and how the live session holds, from the reports in docs/results."""

from typing import Any

from rtpolyp.inference.bundle import known_bundles
from scripts.results_page.reports import RESULTS, interval, read, table, weights

__all__ = [
    "before_and_after", "flicker", "live", "network_alone", "peers", "real_video", "speed",
]  # fmt: skip


def _on(machine: dict[str, Any]) -> str:
    sets = machine.get("instruction_sets") or machine["instruction sets"]
    return f"{machine['cores']} cores of an {machine['processor']} ({', '.join(sets)})"


def speed(bundle: str) -> list[str]:
    """Against a plain PyTorch loop."""
    report = read("speed.json")
    engine, run, memory = report["engine"], report["run"], read("soak_memory.json")
    times = engine["milliseconds a frame"]
    rows = [
        ("engine, one frame at a time (against eager FP32)", f"{times['pytorch eager fp32']:.1f} ms",
         f"{times['latency']:.1f} ms", f"**{engine['ratio']:.1f} ×**"),
        ("engine, two streams", "–", f"{engine['throughput frames/s']:.0f} frames/s", ""),
        ("1280×1024 H.264 clip to overlay video",
         f"{run['plain loop frames/s']} frames/s (`{run['plain codec']}`)",
         f"{run['rtpolyp run frames/s']} frames/s (`{run['rtpolyp codec']}`)", f"**{run['ratio']:.1f} ×**"),
        ("processor time of that run / sum of its stages alone", "", "",
         f"{run['whole run / sum of stages']:.2f}"),
        (f"memory over {memory['clip']}", "", f"{memory['rss_after_one_minute_mib']:.0f} MiB after a minute, "
         f"{memory['rss_peak_mib']:.0f} MiB at the peak", ""),
    ]  # fmt: skip
    return [
        f"`{report['command']}` ran on {_on(report)}; one frame at a time the engine is "
        f"{engine['engine'].split(':')[0]}, in the second row "
        f"{engine['engine for throughput'].split(':')[0]}{weights(report, bundle)}. The plain loop is "
        "OpenCV's capture, the same network and size in "
        "PyTorch, `addWeighted` and `VideoWriter`. Machines differ by a factor of four, so compare the "
        "ratios: both sides of each were measured in turns in one run.",
        "",
        *table(("", "plain PyTorch", "rtpolyp", "ratio"), rows),
        "",
        "Another run, of all bundles, drew [their picture](speed.svg). In it the networks alone did "
        + ", ".join(f"{network_alone(name)} (`{name}`)" for name in known_bundles())
        + " frames/s, in INT8 with two streams.",
        "",
    ]


def network_alone(bundle: str) -> str:
    """Frames a second of a bundle's INT8, in the run that drew the picture of all bundles."""
    (point,) = (
        point
        for point in read("speed-dice-amd-epyc.json")["points"]
        if (point["bundle"], point["precision"], point["shipped"]) == (bundle, "int8", True)
    )
    return f"{point['frames_per_second']:.0f}{weights(point, bundle)}"


def before_and_after() -> list[str]:
    """The state before the library and its rooms were put in order, against the state after it."""
    report = read("before-and-after.json")
    rows = [
        (name, f"{figure['before']:.2f}", f"{figure['after']:.2f}", f"{figure['ratio']:.3f}")
        for name, figure in report.items()
        if isinstance(figure, dict)
    ]
    return [
        f"`{report['command']}` ran commit {report['before']}, the last before the rooms were put in order, "
        f"and commit {report['after']} in turns with the same bundle, on {report['cores']} cores of an "
        f"{report['processor']} ({report['clip']}). A run is a whole process, its start included, and the "
        "machine was quiet. The table has medians of the turns ([each turn](results/before-and-after.json)).",
        "",
        *table(("", "before", "after", "after / before"), rows),
        "",
    ]


def peers() -> list[str]:
    """The same ONNX network elsewhere."""
    lines = []
    for path in sorted(RESULTS.glob("peers-*.json")):
        report = read(path.name)
        alone, whole = report["engine alone"], report["end to end"]
        ratios = whole["ratio of ours"]
        rows = [
            (name, f"{value:.1f} ms", f"{alone['ratio to ours'][name]:.1f} ×", _loops(name, ratios))
            for name, value in alone["milliseconds a frame"].items()
        ]
        width, height = report["size"]
        bundle = report["bundle"]
        old = (
            weights(report, bundle)
            if bundle in known_bundles()
            else ", weights of a few steps, for speed alone"
        )
        lines += [
            f"### {bundle}, {width}×{height}{old}",
            "",
            f"`{report['command']}` ran on {_on(report['machine'])} on "
            f'{report["machine"]["measured_at"][:10]}, with the clip "{report["clip"]}". End to end, rtpolyp '
            f"reaches {whole['frames/s']['rtpolyp']} frames/s ([report](results/{path.name})).",
            "",
            *table(("engine", "one frame", "against rtpolyp", "end to end, rtpolyp is faster by"), rows),
            "",
            *(f"{name} could not run it: {why}\n" for name, why in report["not measured"].items()),
        ]
    return lines


def _loops(name: str, ratios: dict[str, float]) -> str:
    """A plain and a streaming loop around one engine."""
    found = [
        f"{ratios[f'{kind}, {name}']:.1f} × ({kind})"
        for kind in ("plain", "streaming")
        if f"{kind}, {name}" in ratios
    ]
    return ", ".join(found) or "–"


def _longest_gap() -> float:
    """Milliseconds between two pictures, the longest under any injected fault."""
    rows = [row for row in read("faults.json")["rows"] if row["fault"] != "none"]
    return max(row["gap_max_ms"] for row in rows if row["gap_max_ms"] is not None)


def live() -> list[str]:
    """Faults and ten minutes of RTSP."""
    faults, soak = read("faults.json"), read("soak.json")
    return [
        f"{len(faults['rows']) - 1} faults were injected: an engine that raises, hangs, answers garbage, "
        "runs out of memory or is killed, a stalled decoder, an unplugged camera, corrupt packets, a full "
        f"disk and signals. The gap between two displayed pictures stayed within "
        f"**{_longest_gap():.1f} ms** at "
        f"{faults['frame_rate']:.0f} frames/s, where two intervals are {faults['limit_ms']:.0f} ms "
        "([each fault](results/faults.md)).",
        "",
        f"{soak['seconds'] / 60:.0f} minutes of 1080p30 were played over RTSP, with server, window and both "
        f"recordings on {_on(soak['machine'])}. {soak['pictures_per_second']:.1f} pictures/s were shown. "
        f"They were {soak['age_p99_ms']:.0f} ms old at p99, and {100 * soak['coverage']:.1f} % of them had "
        "an unexpired result ([details](live.md#ten-minutes-of-rtsp)).",
        "",
    ]


def flicker(bundle: str) -> list[str]:
    """Outlines that blink on polyp-free pans."""
    rows = []
    for name, of in _of_all("stretches-pans-test", bundle):
        report = read(name)
        ratio = f"{report['tracked over alone']['returns']:.2f} ×"
        for kind, words, blinks in (("tracked", "tracked", ratio), ("alone", "frame by frame", "")):
            counted = report[kind]["polyp_free"]["activations"]
            rates = [f"{one['per_minute']:.1f}{interval(one['interval'], 1, 1)}" for one in counted]
            rows.append((f"{of}, {words}{weights(report, of)}", blinks, *rates))
    longest = [f"{one['minimum_seconds']:g} s" for one in counted]
    return [
        "The table counts, a minute, the outlines that stay for at least the given time on "
        f"{report['tracked']['polyp_free']['seconds'] / 60:.0f} minutes of pans over polyp-free stills. "
        "Nothing was chosen by these pans. Tracked outlines blink less often, for "
        f"{report['smoothing delay ms']:.0f} ms of delay.",
        "",
        *table(("", "blinks", *(f"≥ {one}" for one in longest)), rows),
        "",
    ]


def real_video(bundle: str) -> list[str]:
    """Counts on the short real clips."""
    rows = []
    for name, of in _of_all("clips", bundle):
        report = read(name)
        clip = report["polyp_seq1"]
        cvc = report.get("cvc612_test_sequences")
        for kind, words in (("tracked", "tracked"), ("alone", "frame by frame")):
            polyps = clip[kind]["polyps"]
            dice = f"{cvc[kind]['polyps']['dice']:.3f}" if cvc else "–"
            seen = f"{polyps['found']} of {polyps['annotated']}"
            rows.append(
                (f"{of}, {words}{weights(report, of)}", seen, str(clip[kind]["false_outlines"]), dice)
            )
    return [
        "`python scripts/score_clips.py` gives counts alone, since the annotated clip has 53 frames.",
        "",
        *table(("", "annotated boxes met", "false outlines", "Dice on CVC-612's test sequences"), rows),
        "",
    ]


def _of_all(report: str, bundle: str) -> list[tuple[str, str]]:
    """The file of a report on each bundle, and the bundle; that of `bundle`, the first, has no name in it."""
    others = [name for name in known_bundles() if name != bundle]
    return [(f"{report}.json", bundle), *((f"{report}-{other}.json", other) for other in others)]
