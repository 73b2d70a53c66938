"""Sites of which a start made no file."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from gate.site.index import Site, read_site
from gate.site.making import Making


def read_late(root: Path, *, memory: int) -> Site:
    """A site whose files are all still to be made."""
    return read_site(root, public=(), memory_bytes=memory, at_once=lambda size: False)


@contextmanager
def nothing_made() -> Iterator[None]:
    """Gates that start within make no file but those that they are asked for."""

    async def nothing(making: Making) -> None:
        pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.conftest.read_site", partial(read_site, at_once=lambda size: False))
        patch.setattr("gate.site.making.Making.make_aside", nothing)
        yield
