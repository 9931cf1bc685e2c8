"""Names in scratch/ that say which process works there: a run that empties it at its start leaves to others what they
are at.

Belongs here: those names. Does not belong here: what is made there, and emptying it (`cleanup`).
"""

import os
import re
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory

_NAME = re.compile(r"[a-z]+-(\d+)-")


def own(kind: str) -> str:
    """A new name for something of this process. `kind`: a word in small letters."""
    return f"{kind}-{os.getpid()}-{uuid.uuid4().hex}"


def folder(scratch: Path, kind: str) -> TemporaryDirectory[str]:
    """A new folder of this process in scratch/, gone at the end of its `with`. `kind`: as of `own`."""
    return TemporaryDirectory(prefix=own(kind), dir=scratch)


def of_another(path: Path) -> bool:
    """Whether a process that lives, and is not this one, gave a file or folder its name. After a restart of the machine
    another process may have that number: then it is cleared away once that has ended."""
    named = _NAME.match(path.name)
    if named is None or int(named[1]) == os.getpid():
        return False
    try:
        os.kill(int(named[1]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is somebody else's, and lives
        return True
    return True
