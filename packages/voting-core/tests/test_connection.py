"""The description of a database."""

import pytest
import typed_settings as ts

from voting_core.database import describe
from voting_core.exceptions import InputError
from voting_core.service.settings import (
    DatabaseSettings,
)


def test_the_password_is_not_shown() -> None:
    """Neither the description of the database nor the settings' repr contains the password."""
    settings = DatabaseSettings(ts.SecretStr("postgresql://ann:hush@db:5433/voting"))
    assert describe(settings) == "ann@db:5433/voting"
    assert "hush" not in repr(settings)


def test_a_malformed_database_url_is_not_repeated() -> None:
    """The error for a malformed URL does not contain its password."""
    with pytest.raises(InputError) as caught:
        describe(DatabaseSettings(ts.SecretStr("postgresql://ann:hush@[db")))
    assert "hush" not in str(caught.value)
