"""Parts of a data set that share no group, each with its share of frames with and without polyps."""

from collections.abc import Mapping, Sequence

import numpy as np

from rtpolyp.errors import InputError

__all__ = ["join_groups", "split"]


def join_groups(
    names: Sequence[str], clusters: np.ndarray, patients: Mapping[str, str] | None
) -> tuple[list[str], int]:
    """The group of each frame: its patient or, without patients, its near-duplicate cluster.

    `clusters: (N,) int64` label near-duplicates. A cluster that holds frames of several patients joins these
    in one group: no view may lie on both sides, whatever the table says. Returns the groups, and how many
    clusters did that.
    """
    if patients is None:
        return [f"near-duplicates of {names[first]}" for first in clusters], 0
    groups = np.array([patients[name] for name in names])
    joined = 0
    for cluster in np.unique(clusters):
        members = np.unique(groups[clusters == cluster])
        if len(members) > 1:
            groups[np.isin(groups, members)] = members[0]
            joined += 1
    return groups.tolist(), joined


def split(
    names: Sequence[str],
    groups: Sequence[str],
    has_polyp: Sequence[bool],
    fractions: Mapping[str, float],
    seed: int,
    *,
    polyp_free: bool = False,
) -> dict[str, list[str]]:
    """Divide the frames by `fractions`, part → share of the frames, without a group in two parts.

    Groups are placed from the largest to the smallest, equals in an order drawn by `seed`, each where it
    leaves the parts closest to their shares of frames with and of frames without a polyp. Returns part →
    names, sorted. Raises InputError where a part would be without a polyp or, where all are `polyp_free`,
    without a frame.
    """
    frames = np.stack([np.asarray(has_polyp), ~np.asarray(has_polyp)], axis=1)
    _, group_of = np.unique(groups, return_inverse=True)
    sizes = np.stack([np.bincount(group_of, weights=kind) for kind in frames.T], axis=1)  # (G, 2)
    order = np.random.default_rng(seed).permutation(len(sizes))
    order = order[np.argsort(-sizes[order].sum(axis=1), kind="stable")]
    shares = np.array(list(fractions.values()))[:, None]  # (P, 1)
    wanted = shares * np.maximum(sizes.sum(axis=0), 1)  # (P, 2) frames
    placed = np.zeros_like(wanted)
    part_of = np.zeros(len(sizes), int)
    for group in order:
        # what Σ (placed − wanted)² / wanted would grow by in each part
        cost = (sizes[group] * (2 * (placed - wanted) + sizes[group]) / wanted).sum(axis=1)
        part_of[group] = np.argmin(cost)
        placed[part_of[group]] += sizes[group]
    _give_each_one(part_of, sizes, list(fractions), polyp_free)
    return {
        part: sorted(name for name, group in zip(names, group_of, strict=True) if part_of[group] == index)
        for index, part in enumerate(fractions)
    }


def _give_each_one(part_of: np.ndarray, sizes: np.ndarray, parts: Sequence[str], polyp_free: bool) -> None:
    """Move the smallest groups that a part can spare to parts without a polyp, or without a frame."""
    wanted = np.ones(len(sizes), bool) if polyp_free else sizes[:, 0] > 0
    for index, part in enumerate(parts):
        if wanted[part_of == index].any():
            continue
        spare = [
            group
            for group in np.argsort(sizes.sum(axis=1), kind="stable")
            if wanted[group] and np.count_nonzero(wanted & (part_of == part_of[group])) > 1
        ]
        if not spare:
            count, what = np.count_nonzero(wanted), "a frame" if polyp_free else "a polyp"
            raise InputError(
                f"the {part} part would be without {what}: {count} groups show one, for the parts "
                f"{', '.join(parts)}. Add images of other patients, or give fewer parts"
                + ("" if count else "; --polyp-free is for images that show none")
            )
        part_of[spare[0]] = index
