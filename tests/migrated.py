"""Registers in SQLite that are copies of an empty one that went through all migrations.

Belongs here: how a new register gets its tables in tests. Does not belong here: tests of migrations, which go up and
down from there.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.register import Register


def by_copy(empty: Path) -> Iterator[None]:
    """A register without a file becomes a copy of `empty`, which is made first; any other is migrated as ever."""
    migrate = Register.upgrade

    def upgrade(register: Register) -> None:
        named = register.engine.url.database
        a_file = register.engine.dialect.name == "sqlite" and named and not named.startswith("file:")
        if a_file and not Path(named).exists():
            shutil.copyfile(empty, named)
        else:
            migrate(register)

    made = Register(f"sqlite:///{empty}")
    migrate(made)
    made.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Register, "upgrade", upgrade)
        yield
