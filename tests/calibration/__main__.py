"""`make calibration`: run what is missing of both runs, then write the table and the figure."""

import os

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before numpy loads

import argparse  # noqa: E402
import time  # noqa: E402
from concurrent.futures import ProcessPoolExecutor, as_completed  # noqa: E402

from calibration.chunks import list_tasks, read_counts, run_chunk, write_counts  # noqa: E402
from calibration.design import ROOT_SEEDS  # noqa: E402


def complete_run(run: int, workers: int) -> None:
    """Add the chunks that the result file does not hold, each as soon as it is done."""
    counts = read_counts(run)
    done = {(line.cell, line.chunk) for line in counts}
    missing = [task for task in list_tasks() if (task[0].number, task[1]) not in done]
    began = time.perf_counter()
    with ProcessPoolExecutor(workers) as pool:
        jobs = {pool.submit(run_chunk, run, *task): task for task in missing}
        for n_done, job in enumerate(as_completed(jobs), start=1):
            counts += job.result()
            write_counts(run, counts)
            cell, chunk = jobs[job]
            elapsed = (time.perf_counter() - began) / 60
            print(
                f"run {run}: {cell.name} n={cell.n_subjects} chunk {chunk}; "
                f"{n_done} of {len(missing)}, {elapsed:.1f} min",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(prog="calibration", description=__doc__)
    parser.add_argument("--workers", type=int, default=1, help="processes; results are the same")
    workers = parser.parse_args().workers
    for run in ROOT_SEEDS:
        complete_run(run, workers)
    # matplotlib loads only once all is counted
    from calibration.page import write_page

    write_page()


if __name__ == "__main__":
    main()
