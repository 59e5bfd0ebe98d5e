"""What can go wrong, said to the person who has to mend it."""


class IfruError(Exception):
    """Base of every error that is somebody's input, not our bug. Its text is shown as it is."""


class DataError(IfruError):
    """A data file or a label rule that cannot be used."""


class RequestError(IfruError):
    """A request that cannot be understood. `field` names the part of it that is wrong.

    The text is written to dead letters and logs, so it never carries a subject's id.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
