"""The runner of the application: aiohttp's, with the fast door before it."""

from typing import Any

from aiohttp import web

from gate.app import HOT
from gate.door.door import Doors


class DoorRunner(web.AppRunner):
    """Runs an application whose hot reads the fast door answers; any other as aiohttp does."""

    def __init__(self, app: web.Application, **options: Any) -> None:
        super().__init__(app, **options)
        self.doors: Doors | None = None

    async def setup(self) -> None:
        """Start the application."""
        await super().setup()
        server, hot = super().server, self.app.get(HOT)
        if server is not None and hot is not None:
            self.doors = Doors(server, hot)

    @property
    def server(self) -> Any:
        """What makes the protocol of a connection."""
        return self.doors or super().server

    async def cleanup(self) -> None:
        """Close what is idle, let aiohttp finish the rest, end the application."""
        if self.doors is not None:
            self.doors.close()
        await super().cleanup()
