"""What a user can put right is a UserError: the front door prints its one line and no traceback."""


class UserError(ValueError):
    """Something a person can mend: the message says what is wrong and what to do."""


class LostProcess(UserError):
    """Another process of the run is gone or did not come: another start may find it back."""
