"""What a user can put right is a UserError: the front door prints its one line and no traceback."""


class UserError(ValueError):
    """Something a person can mend: the message says what is wrong and what to do."""
