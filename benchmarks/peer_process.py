"""Start a peer's worker, ask it for fits, and end it when it takes too long."""

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from pathlib import Path

FOLDER = Path(__file__).parent
# A Python with statsmodels, mixedlm, mixedlm-rs and lme-python: benchmarks/peers.txt.
PEERS_PYTHON = "AIBMD_PEERS_PYTHON"
_START_SECONDS = 60


class PeerError(Exception):
    """What a peer said, or that it said nothing in time."""


class PeerProcess:
    """One program, waiting for models to fit."""

    def __init__(self, program):
        self.program = program
        self.process = subprocess.Popen(
            _command(program), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True, cwd=FOLDER,
        )  # fmt: skip
        self.lines = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self.version = self._hear(_START_SECONDS)["version"]
        except PeerError:
            self.close()
            raise

    def ask(self, model, path, seconds):
        """Seconds, log-likelihood and standard errors of one fit."""
        self.process.stdin.write(json.dumps({"model": model, "path": str(path)}) + "\n")
        self.process.stdin.flush()
        said = self._hear(seconds)
        if "error" in said:
            raise PeerError(said["error"])
        return said

    def close(self):
        """End the worker, however busy."""
        self.process.kill()
        self.process.wait()

    def _listen(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put("")  # it ended

    def _hear(self, seconds):
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            raise PeerError(f"no answer within {seconds:g} s") from None
        if not line:
            raise PeerError("the program is not installed, or ended early")
        return json.loads(line)


def _command(program):
    if program in ("gls", "lme4"):
        rscript = shutil.which("Rscript")
        if rscript is None:
            raise PeerError("no Rscript here")
        return [rscript, str(FOLDER / "peer_worker.R"), program]
    elsewhere = os.environ.get(PEERS_PYTHON)
    python = sys.executable if program == "aibmd" or not elsewhere else elsewhere
    return [python, str(FOLDER / "peer_worker.py"), program]
