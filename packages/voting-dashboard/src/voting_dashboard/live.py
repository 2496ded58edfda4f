"""The one reader of this process, as the page finds it."""

from functools import partial

import streamlit as st

from voting_dashboard.reader import Reader
from voting_dashboard.settings import DashboardSettings
from voting_dashboard.sources import DatabaseRegister, KafkaCount

__all__ = ["configure", "settings", "shared_reader"]

_settings = DashboardSettings()


def configure(settings: DashboardSettings) -> None:
    """Say where to read from; to be called once, before the page is served."""
    global _settings
    _settings = settings


def settings() -> DashboardSettings:
    """Return the settings of this process."""
    return _settings


@st.cache_resource(show_spinner=False, on_release=Reader.stop)
def shared_reader() -> Reader:
    """Return the reader that all visitors share; the first call starts it."""
    reader = Reader(
        partial(KafkaCount, _settings.kafka), partial(DatabaseRegister, _settings.database)
    )
    reader.start()
    return reader
