"""How good the segmenter is, and how fast: every table, picture and the model card, by one command.

    python -m benchmarks.segmentation OUT [--patients 60] [--publish]

Simulated patients have seeds that no training used. Finished sets in OUT are kept for the same model and
options, so that the command may be stopped and run again. ``--publish`` copies CARD.md beside the weights,
the pictures into docs/ and SEGMENTATION.md into benchmarks/.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from rich.console import Console

from benchmarks import segmentation_pictures as pictures
from benchmarks import segmentation_sets as sets
from benchmarks.segmentation_speed import measure_all, page
from radiomics_npc.cohort.reading import read_cohort
from radiomics_npc.segmentation.aims import compare_aims
from radiomics_npc.segmentation.evaluation import MEASURES, summarize, volume_thirds
from radiomics_npc.segmentation.model_card import read_description, write_card
from radiomics_npc.segmentation.weight_files import BUNDLED
from radiomics_npc.settings import SEQUENCES
from radiomics_npc.storage import content_key, read_table, write_table, write_text

ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "data" / "npc_t2_slices"
ALL = " + ".join(SEQUENCES)
TRAINED_BY = "radiomics-npc train-segmenter configs/segmentation/simulated.yaml"

REAL_NOTE = """\
Ten T2 slices of ten patients, as they come: T2 alone, each slice its own neighbor, no header. The pixel
size is not known and was estimated from the size of the heads; 0.45 mm (a field of view of 230 mm) is the
guess, and the other two bound it. Each contour is one piece at the nasopharynx or skull base (in number 8 it
lies inside the skull, beside the brain stem); whether it was meant to hold nodes is not known, and in seven
of the slices (3 to 5, 7 to 10) it follows no edge that the slice shows, so that no score near 1 can be had.
The networks were not trained on these slices, but they were looked at while the simulation was made, and
signals of its tissues adjusted to them. Ten slices are no validation, least of all slices seen before."""


def case_tables(given: argparse.Namespace) -> dict[str, pd.DataFrame]:
    """Every set that could be made, from OUT if it was made before."""
    known = [sets.segmenter(given.model).identity, sets.MATRIX, given.seed]

    def kept(name: str, options: list[int], make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
        path = given.out / "tables" / f"{name}-{content_key(known, options)[:12]}.csv"
        begin = time.perf_counter()
        if not path.exists():
            write_table(path, make())
            print(f"{name}: {time.perf_counter() - begin:.0f} s")
        return read_table(path, converters={"case": str})

    model, seed, jobs = given.model, given.seed, given.jobs
    n, fewer, heads = given.patients, given.subset_patients, given.heads
    tables = {
        "patients": kept(
            "patients", [n, fewer], lambda: sets.patients(given.out, model, n, fewer, seed, jobs)
        ),
        "contrasts": kept("contrasts", [heads], lambda: sets.contrasts(model, heads, seed, jobs)),
        "tumor_free": kept("tumor_free", [heads], lambda: sets.tumor_free(model, heads, seed, jobs)),
    }
    if (given.real / "images").is_dir():
        tables["real_slices"] = kept("real_slices", [], lambda: sets.real_slices(given.real, model))
    return tables


def summary_of(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """All groups of all sets, with intervals."""
    every = tables["patients"]
    whole = every[every["sequences"] == ALL]
    thirds = volume_thirds(whole.groupby("case")["reference_cm3"].mean())
    whole = whole.assign(volume_third=whole["case"].map(thirds))
    whole["volume_third"] = whole["volume_third"].astype(thirds.dtype)
    fewer = every[every["case"].isin(every.loc[every["sequences"] != ALL, "case"])]
    plain = ("dice", "sensitivity", "precision")
    parts = {
        "patients": summarize(whole, ["volume_third", "t_category", "scanner"]),
        "subsets": summarize(fewer, ["sequences"]) if len(fewer) else None,
        "contrasts": summarize(tables["contrasts"], ["regime"]),
        "tumor_free": summarize(tables["tumor_free"], measures=["predicted_cm3"]),
        "real_slices": summarize(tables["real_slices"], ["pixel"], measures=plain)
        if "real_slices" in tables
        else None,
    }
    return pd.concat([t.assign(set=name) for name, t in parts.items() if t is not None], ignore_index=True)


def notes(given: argparse.Namespace) -> dict[str, str]:
    """What the card says beside the numbers."""
    options = f"--patients {given.patients} --subset-patients {given.subset_patients} --heads {given.heads}"
    simulated = (
        f"Made by `python -m benchmarks.segmentation OUT {options} --seed {given.seed}`.\n"
        f"Patients go through DICOM at {sets.MATRIX} x {sets.MATRIX}, every sequence on its own grid,\n"
        f"predicted as in a study; {given.subset_patients} of them also by each subset of the sequences.\n"
        f"{given.heads} heads with and {given.heads} without a tumor were drawn anew.\n"
        "No training used these seeds."
    )
    said = {"evaluation": simulated, "real_slices": REAL_NOTE}
    return said | {k: v for k in ("command", "hardware", "failures") if (v := getattr(given, k))}


def write_all(given: argparse.Namespace, tables: dict[str, pd.DataFrame], console: Console) -> None:
    """Summary, card and pictures into OUT."""
    summary = summary_of(tables)
    write_table(given.out / "tables" / "summary.csv", summary)
    write_card(given.out, summary, read_description(given.model), notes=notes(given))
    cases = {case.patient_id: case for case in read_cohort(given.out / "patients").cases}
    pictures.examples(given.out / "segmentation_examples.png", tables["patients"], cases, given.model)
    pictures.failures(given.out / "segmentation_failures.png", tables["patients"], cases, given.model)
    console.print(compare_aims(summary).to_string(index=False, float_format="{:.3f}".format))
    console.print("All but real_slices are simulated.")
    shown = summary[summary["measure"].isin([*MEASURES[:1], "predicted_cm3"])]
    names = ["set", "by", "group", "measure", "n", "mean", "lower", "upper", "median"]
    console.print(shown[names].to_string(index=False, float_format="{:.3f}".format))


def publish(given: argparse.Namespace) -> None:
    """Where readers look for it."""
    shutil.copyfile(given.out / "CARD.md", given.model / "CARD.md")
    for name in ("segmentation_examples.png", "segmentation_failures.png"):
        (ROOT / "docs").mkdir(exist_ok=True)
        shutil.copyfile(given.out / name, ROOT / "docs" / name)
    if (given.out / "SEGMENTATION.md").exists():
        shutil.copyfile(given.out / "SEGMENTATION.md", ROOT / "benchmarks" / "SEGMENTATION.md")


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", type=Path, default=BUNDLED, help="folder of weights; the bundled ones")
    parser.add_argument("--patients", type=int, default=60)
    parser.add_argument("--subset-patients", type=int, default=30, help="of them, also by fewer sequences")
    parser.add_argument("--heads", type=int, default=30, help="with random contrasts, and without a tumor")
    parser.add_argument("--seed", type=int, default=sets.SEED)
    parser.add_argument("--jobs", type=int, default=0)
    parser.add_argument("--real", type=Path, default=REAL, help="folder with images/ and masks/")
    parser.add_argument("--no-speed", action="store_true", help="leave the time by device out")
    parser.add_argument("--command", help="of the training, for the card; known of the bundled weights")
    parser.add_argument("--hardware", help="of the training, for the card")
    parser.add_argument("--failures", help="what was seen by looking, as Markdown list, for the card")
    parser.add_argument("--publish", action="store_true")
    given = parser.parse_args(words)
    given.subset_patients = min(given.subset_patients, given.patients)
    if given.command is None and given.model == BUNDLED:
        given.command = TRAINED_BY
    return given


def main(words: list[str] | None = None) -> None:
    """Run, print, and write."""
    given, console = arguments(words), Console(width=130)
    tables = case_tables(given)
    write_all(given, tables, console)
    if not given.no_speed:
        text = page(measure_all(given.model, given.out / "patients"), "python -m benchmarks.segmentation OUT")
        write_text(given.out / "SEGMENTATION.md", text)
        console.print(text)
    if given.publish:
        publish(given)


if __name__ == "__main__":
    main()
