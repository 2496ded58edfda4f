"""The description of a database."""

import psycopg
import pytest
import typed_settings as ts

from voting_core.database import connect, describe
from voting_core.exceptions import InputError, UnreachableError
from voting_core.service.settings import DatabaseSettings


def test_the_password_is_not_shown() -> None:
    """Neither the description of the database nor the settings' repr contains the password."""
    settings = DatabaseSettings(ts.SecretStr("postgresql://ann:hush@db:5433/voting"))
    assert describe(settings) == "ann@db:5433/voting"
    assert "hush" not in repr(settings)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ann:hush@[db",
        "postgresql://ann:secret@hush#9@127.0.0.1/voting",
        "postgresql://ann:secret#hush@127.0.0.1/voting",
        "postgresql://ann:secret/hush@127.0.0.1/voting",
        "postgresql://ann:secret?hush@127.0.0.1/voting",
        "postgresql://ann:hush%zz@127.0.0.1/voting",
        "postgres://ann:hush@secret@127.0.0.1/voting",
        "host=127.0.0.1 password=hush secret",
        "hush",
    ],
)
def test_no_part_of_a_malformed_url_is_shown(url: str) -> None:
    """The message, and the error behind it, hint at percent-encoding and repeat nothing."""
    with pytest.raises(InputError, match="%23") as caught:
        describe(DatabaseSettings(ts.SecretStr(url)))
    message = str(caught.value)
    assert "hush" not in message
    assert "secret" not in message
    # A log would show the error of libpq, which quotes the URL, as the cause or the context.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__


def test_an_empty_url_is_refused() -> None:
    """The defaults of libpq would be those of another database."""
    with pytest.raises(InputError, match="empty"):
        describe(DatabaseSettings(ts.SecretStr(" ")))


def test_an_encoded_password_is_accepted() -> None:
    """As the message asks for it; an @ may follow in the parameters if it is encoded too."""
    url = "postgresql://ann:a%23b%2Fc%40d%3Fe%25@db/voting?application_name=x%40y"
    assert describe(DatabaseSettings(ts.SecretStr(url))) == "ann@db:5432/voting"


def test_a_password_is_not_in_the_error_of_a_refused_login(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whatever the server or libpq writes."""

    def refuse(*_: object, **__: object) -> None:
        raise psycopg.OperationalError("connection to server failed: FATAL: no hush for ann")

    monkeypatch.setattr(psycopg, "connect", refuse)
    with pytest.raises(UnreachableError) as caught:
        connect(DatabaseSettings(ts.SecretStr("postgresql://ann:hush@db/voting")))
    assert "hush" not in str(caught.value)
