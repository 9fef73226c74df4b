"""How well series are registered, how many failures are flagged, and how masks are best moved.

    python -m benchmarks.registration OUT [--heads 40] [--wrong 20] [--jobs 0]

Simulated heads move by up to 10 mm and 8 degrees between T1 and T2 (even numbers) or CE-T1 (odd ones). Every
registration is judged by its landmarks (target registration error; TG-132: mean below 2 mm, largest below
5 mm) and by its flags, which know the images alone. Then registrations that are wrong on purpose are judged:
none at all, of another patient, moved away from what was found; and heads are brought 15 to 60 mm and 10 to
40 degrees apart. Tables go to OUT as CSV; finished heads are kept there, so that it may be stopped and run
again.
"""

from __future__ import annotations

import argparse
import json
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
from radiomics_npc.storage import write_json, write_table

METHODS = ("rigid", "bspline", "deu")
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


def about(seed: int) -> dict[str, Any]:
    return {"head": seed, "sequences": "t1 - ce_t1" if seed % 2 else "t1 - t2"}


def sought(seed: int, methods: tuple[str, ...]) -> list[dict[str, Any]]:
    """One head registered by each method."""
    head = pair(seed)
    made = {name: register(head.moving, head.fixed, name) for name in methods}  # type: ignore[arg-type]
    return [judged(head, one, **about(seed), method=name) for name, one in made.items()]


def wrong(seed: int) -> list[dict[str, Any]]:
    """Registrations of one head that are no good, and one after a motion that is too large."""
    head, rng = pair(seed), np.random.default_rng([seed, 3])
    rows = [judged(head, Registration("rigid"), **about(seed), method="not registered")]
    other = replace(head, moving=pair(seed + 1000).moving)
    made = register(other.moving, other.fixed)
    rows.append(judged(other, made, **about(seed), method="another patient"))
    right = register(head.moving, head.fixed)
    turn, shift = draw_motion(rng, rng.uniform(4, 15), rng.uniform(3, 12))
    moved = turn @ np.reshape(right.matrix, (3, 3)), np.array(right.translation_mm) + shift
    away = replace(right, matrix=tuple(moved[0].ravel()), translation_mm=tuple(moved[1]))
    rows.append(judged(head, away, **about(seed), method="moved away"))
    mm, degrees, far_seed = rng.uniform(15, 60), rng.uniform(10, 40), [seed, 9]
    turn, shift = draw_motion(np.random.default_rng(far_seed), mm, degrees)
    moving = displaced_header(head.moving, np.random.default_rng(far_seed), mm, degrees)
    far = replace(head, moving=moving, true_points=lambda p: head.true_points(p) @ turn.T + shift)
    made = register(far.moving, far.fixed)
    return [*rows, judged(far, made, **about(seed), method="rigid, 15 to 60 mm")]


def kept(seed: int, out: Path, methods: tuple[str, ...], heads_wrong: int) -> Judged:
    """Rows of one head, from OUT where they are there already."""
    rows: list[dict[str, Any]] = []
    parts = {f"{name}": partial(sought, methods=(name,)) for name in methods}
    if seed < heads_wrong:
        parts["wrong"] = wrong
    for name, make in parts.items():
        path = out / "heads" / f"{seed:03d}-{name}.json"
        if not path.exists():
            write_json(path, [{k: _plain(v) for k, v in row.items()} for row in make(seed)])
        rows += json.loads(path.read_text(encoding="utf-8"))
    return Judged(str(seed), rows)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


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
    parser.add_argument("--wrong", type=int, default=20, help="heads registered wrongly on purpose")
    parser.add_argument("--tumors", type=int, default=6, help="of each volume, whose masks are moved")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--jobs", type=int, default=0)
    given, console, begin = parser.parse_args(), Console(width=160), time.perf_counter()
    masks = moved_masks(given.tumors)
    write_table(given.out / "moved_masks.csv", masks.reset_index())
    console.print(masks.to_string(float_format="{:.3f}".format))
    job = partial(kept, out=given.out.absolute(), methods=tuple(given.methods), heads_wrong=given.wrong)
    done = map_cases(job, range(given.heads), jobs=given.jobs)
    rows = [row for one in track(done, "register", given.heads) for row in one.rows]
    table = pd.DataFrame(rows).sort_values(["method", "head"], ignore_index=True)
    write_table(given.out / "registrations.csv", table)
    found = summary(table)
    write_table(given.out / "summary.csv", found)
    console.print(found.to_string(index=False, float_format="{:.2f}".format))
    console.print(f"All heads are simulated. {time.perf_counter() - begin:.0f} s")


if __name__ == "__main__":
    main()
