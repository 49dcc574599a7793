"""Files written whole or not at all: a reader never meets half a table."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from aibmd.errors import AibmdError


def write_atomic(path: str | Path, content: bytes | str) -> Path:
    r"""Write a file so that an interrupted run leaves the old one, or none, but never a part.

    The content goes to a temporary file in the same folder, reaches the disk, and
    takes the final name in one step. Missing folders are made; a file that was there
    keeps its permissions.

    Parameters
    ----------
    path : str or Path
        Where the file is to stand. A symbolic link is followed.
    content : bytes or str
        Text is stored as UTF-8 with its newlines as given, on every system.

    Returns
    -------
    Path
        `path`, for printing.

    Raises
    ------
    AibmdError
        If `path` is a folder or a device, which cannot be replaced by a file.
    OSError
        If the folder cannot be written; nothing has changed then.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_atomic(folder / "table.csv", "visit,mean\nyear_5,0.98\n").read_text()
    'visit,mean\nyear_5,0.98\n'
    """
    target = Path(path).resolve()
    if target.exists() and not target.is_file():
        raise AibmdError(f"{path} is not a regular file and is left alone. Name a file to write.")
    target.parent.mkdir(parents=True, exist_ok=True)
    data = content.encode("utf-8") if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(_permissions(target))
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    return Path(path)


def _permissions(target: Path) -> int:
    """Mode of the file that stands there, else what the user's mask gives a new file."""
    if target.exists():
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
