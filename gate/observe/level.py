"""The log level while the gate runs: a signal turns debugging on, and off again."""

import logging

log = logging.getLogger(__name__)

OURS = "gate"
"""The logger above all of the gate's own. Libraries keep their level: nobody knows what of a
request they would tell."""


class LevelSwitch:
    """Each `turn` goes from the configured level to "debug", or back."""

    def __init__(self) -> None:
        self._logger = logging.getLogger(OURS)

    def turn(self) -> None:
        """The other level; says so on either side."""
        if self._logger.level == logging.DEBUG:
            log.warning("debugging is off: the log level is that of [log] level again")
            self._logger.setLevel(logging.NOTSET)
        else:
            self._logger.setLevel(logging.DEBUG)
            log.warning("debugging is on, until the next SIGUSR1")
