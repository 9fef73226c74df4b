"""How well series are registered, how many failures are flagged, and how masks are best moved.

    python -m benchmarks.registration OUT [--heads 40] [--jobs 0]

Simulated heads move by up to 10 mm and 8 degrees between T1 and T2 (even numbers) or CE-T1 (odd ones). Every
registration is judged by its landmarks (target registration error; TG-132: mean below 2 mm, largest below
5 mm) and by its flags, which know the images alone. Then registrations that are wrong on purpose are judged:
none at all, of another patient, stuck after 45 mm and 40 degrees. Tables go to OUT as CSV.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console

from benchmarks.displaced_heads import (
    DisplacedHead,
    displaced_head,
    displaced_header,
    draw_motion,
    mask_on_shifted_grids,
)
from radiomics_npc.imaging.mask_moving import move_mask
from radiomics_npc.imaging.registration import register
from radiomics_npc.imaging.registration_quality import assess_registration, target_registration_error
from radiomics_npc.imaging.registration_result import Registration
from radiomics_npc.parallel import map_cases
from radiomics_npc.progress import track
from radiomics_npc.storage import write_table

METHODS = ("rigid", "bspline", "deu")
WRONG = ("not registered", "another patient", "moved away")
_AXES = ["x_mm", "y_mm", "z_mm"]


@dataclass(frozen=True)
class Judged:
    """Rows of one head."""

    label: str
    rows: list[dict[str, Any]]


def pair(seed: int) -> DisplacedHead:
    return displaced_head(seed, ("t1", "ce_t1" if seed % 2 else "t2"))


def judged(case: DisplacedHead, made: Registration, **also: Any) -> dict[str, Any]:
    """Errors at the landmarks and what the images alone say."""
    points = pd.DataFrame(case.landmarks, columns=_AXES)
    truth = pd.DataFrame(case.true_points(case.landmarks), columns=_AXES)
    error = target_registration_error(made, points, truth)
    start = target_registration_error(Registration("rigid"), points, truth)
    quality = assess_registration(made, case.moving, case.fixed)
    return {
        **also, "before_mm": start.mean_mm, "mean_mm": error.mean_mm, "max_mm": error.max_mm,
        "tg132": error.meets_tg132, **quality.to_dict(), "flags": "; ".join(quality.flags),
        "seconds": made.seconds,
    }  # fmt: skip


def of_head(seed: int, methods: tuple[str, ...] = METHODS, wrong: bool = True) -> Judged:
    """Every registration of one head."""
    head = pair(seed)
    about = {"head": seed, "sequences": "t1 - ce_t1" if seed % 2 else "t1 - t2"}
    made = {name: register(head.moving, head.fixed, name) for name in methods}  # type: ignore[arg-type]
    rows = [judged(head, one, **about, method=name) for name, one in made.items()]
    if wrong:
        rows.append(judged(head, Registration("rigid"), **about, method=WRONG[0]))
        other = replace(head, moving=pair(seed + 1000).moving)
        rows.append(judged(other, register(other.moving, other.fixed), **about, method=WRONG[1]))
        rng = np.random.default_rng([seed, 3])
        turn, shift = draw_motion(rng, rng.uniform(4, 15), rng.uniform(3, 12))
        right = made["rigid"]
        moved = turn @ np.reshape(right.matrix, (3, 3)), np.array(right.translation_mm) + shift
        away = replace(right, matrix=tuple(moved[0].ravel()), translation_mm=tuple(moved[1]))
        rows.append(judged(head, away, **about, method=WRONG[2]))
    return Judged(str(seed), rows)


def far_away(seed: int) -> Judged:
    """Headers that say the head lies 15 to 60 mm away and is turned by 10 to 40 degrees."""
    head, rng = pair(seed), np.random.default_rng([seed, 9])
    mm, degrees = rng.uniform(15, 60), rng.uniform(10, 40)
    state = rng.bit_generator.state
    moving = displaced_header(head.moving, rng, mm, degrees)
    rng.bit_generator.state = state
    turn, shift = draw_motion(rng, mm, degrees)
    far = replace(head, moving=moving, true_points=lambda p: head.true_points(p) @ turn.T + shift)
    about = {"head": seed, "sequences": "t1 - ce_t1" if seed % 2 else "t1 - t2", "method": "rigid, far away"}
    return Judged(str(seed), [judged(far, register(far.moving, far.fixed), **about)])


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """One row a method: errors, how many are good enough, and what the flags found."""
    rows = []
    for name, part in table.groupby("method", sort=False):
        good, flagged = part["tg132"].astype(bool), part["flags"] != ""
        rows.append({
            "method": name, "n": len(part), "before_mm": part["before_mm"].mean(),
            "mean_mm": part["mean_mm"].mean(), "worst_mean_mm": part["mean_mm"].max(),
            "worst_max_mm": part["max_mm"].max(), "mean<2mm": (part["mean_mm"] < 2).mean(),
            "tg132": good.mean(), "failures": int((~good).sum()),
            "failures_flagged": int((flagged & ~good).sum()), "sound_flagged": int((flagged & good).sum()),
            "seconds": part["seconds"].median(),
        })  # fmt: skip
    return pd.DataFrame(rows)


def moved_masks(heads: int = 6) -> pd.DataFrame:
    """Dice and volume of masks carried by a quarter and by half a slice, against the contour drawn there."""
    still, rows = Registration("rigid"), []
    for volume in (3.0, 9.0, 30.0):
        for seed in range(heads):
            drawn, *truths = mask_on_shifted_grids(seed, volume, (0.0, 0.25, 0.5))
            for share, truth in zip((0.25, 0.5), truths, strict=True):
                for how in ("nearest", "level_set"):
                    moved = move_mask(drawn, still, truth, how)  # type: ignore[arg-type]
                    both = int((moved.array & truth.array).sum())
                    sizes = int(moved.array.sum()), int(truth.array.sum())
                    rows.append((volume, share, how, 2 * both / sum(sizes), sizes[0] / sizes[1]))
    table = pd.DataFrame(rows, columns=["cm3", "slices", "interpolation", "dice", "volume_ratio"])
    groups = table.groupby(["cm3", "slices", "interpolation"])
    return groups.agg(dice=("dice", "mean"), lowest=("dice", "min"), volume_ratio=("volume_ratio", "mean"))


def main() -> None:
    """Run, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--heads", type=int, default=40)
    parser.add_argument("--tumors", type=int, default=6, help="of each volume, whose masks are moved")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--jobs", type=int, default=0)
    given, console, begin = parser.parse_args(), Console(width=160), time.perf_counter()
    masks = moved_masks(given.tumors)
    write_table(given.out / "moved_masks.csv", masks.reset_index())
    console.print(masks.to_string(float_format="{:.3f}".format))
    jobs = [partial(of_head, methods=tuple(given.methods)), far_away]
    rows = []
    for job in jobs:
        done = map_cases(job, range(given.heads), jobs=given.jobs)
        rows += [row for one in track(done, "register", given.heads) for row in one.rows]
    table = pd.DataFrame(rows).sort_values(["method", "head"], ignore_index=True)
    write_table(given.out / "registrations.csv", table)
    found = summary(table)
    write_table(given.out / "summary.csv", found)
    console.print(found.to_string(index=False, float_format="{:.2f}".format))
    console.print(f"All heads are simulated. {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
