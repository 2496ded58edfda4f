"""Choosing the kind of stack, and the reason given where no engine answers."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from voting_infra import EngineError, ImageError, StackError, choice, images, open_stack
from voting_infra.choice import choose_stack
from voting_infra.containers import kafka_variables
from voting_infra.engine import FoundImage
from voting_infra.images import KAFKA, POSTGRES, StackImages, find_images
from voting_infra.kafka import node_settings

IMAGES = StackImages(FoundImage("a/kafka:1", "pulled"), FoundImage("a/postgres:2", "the local one"))


@pytest.fixture
def no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an engine that does not run."""
    address = f"unix://{tmp_path}/docker.sock"
    monkeypatch.setenv("DOCKER_HOST", address)
    return address


def test_forced_containers_do_not_fall_back(no_engine: str) -> None:
    """Without an engine it is an error in one line, which names the socket."""
    with pytest.raises(StackError, match="VOTING_TEST_STACK=containers: no Docker engine") as error:
        choose_stack({"VOTING_TEST_STACK": "containers"})
    assert no_engine in str(error.value)
    assert "\n" not in str(error.value)


def test_without_an_engine_there_is_a_reason(no_engine: str) -> None:
    """Nothing forced and no engine: embedded, and the reason is one line."""
    chosen = choose_stack({})
    assert (chosen.kind, chosen.images) == ("embedded", None)
    assert str(chosen).startswith(f"embedded: no Docker engine answers at {no_engine}")
    assert "\n" not in str(chosen)


def test_forced_embedded_asks_no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where embedded is forced no engine is looked for."""
    monkeypatch.setattr(choice, "find_images", lambda *_, **__: pytest.fail("an engine was asked"))
    assert choose_stack({"VOTING_TEST_STACK": "embedded"}).kind == "embedded"


def test_containers_where_there_are_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing forced: containers if the images are there; it names them."""
    monkeypatch.setattr(choice, "find_images", lambda _, build: IMAGES)
    chosen = choose_stack({"VOTING_TEST_STACK": ""})
    assert (chosen.kind, chosen.images) == ("containers", IMAGES)
    assert str(chosen) == "containers: a/kafka:1 (pulled) and a/postgres:2 (the local one)"


def test_nothing_is_built_unless_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    """An image that cannot be had decides against containers, with the reason."""

    def absent(_: object, *, build: bool) -> StackImages:
        assert not build
        raise ImageError("the image a/kafka:1 is not here and cannot be pulled (offline)")

    monkeypatch.setattr(choice, "find_images", absent)
    assert str(choose_stack({})).endswith("a/kafka:1 is not here and cannot be pulled (offline)")


def test_an_unknown_kind_is_refused() -> None:
    """A value that names no kind is an error that lists them."""
    with pytest.raises(StackError, match="VOTING_TEST_STACK=docker: there is containers and emb"):
        choose_stack({"VOTING_TEST_STACK": "docker"})


def test_a_stack_of_containers_needs_an_engine(no_engine: str, tmp_path: Path) -> None:
    """Opening one without an engine is the same clear error."""
    with (
        pytest.raises(EngineError, match="start one, or name another in DOCKER_HOST"),
        open_stack("containers", log_dir=tmp_path),
    ):
        pytest.fail("the stack is up")


@pytest.fixture
def empty_engine(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An engine without images that can pull each; the names of those that it was asked for."""
    asked: list[str] = []

    def fetch(_: object, name: str) -> FoundImage:
        asked.append(name)
        return FoundImage(name, "pulled")

    monkeypatch.setattr(images, "open_engine", lambda: nullcontext())
    monkeypatch.setattr(images, "fetch_image", fetch)
    return asked


def test_image_names(empty_engine: list[str]) -> None:
    """The variables name the images; empty or missing they are the official ones."""
    find_images({})
    find_images({"VOTING_KAFKA_IMAGE": "k:1", "VOTING_POSTGRES_IMAGE": ""})
    assert empty_engine == [KAFKA.official, POSTGRES.official, "k:1", POSTGRES.official]


def test_an_image_built_before_is_the_last_resort(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither here nor to be pulled: the one built here, before or, if forced to, now."""
    built: list[str] = []

    def absent(_: object, name: str) -> FoundImage:
        raise ImageError(f"the image {name} is not here and cannot be pulled (offline)")

    monkeypatch.setattr(images, "open_engine", lambda: nullcontext())
    monkeypatch.setattr(images, "fetch_image", absent)
    monkeypatch.setattr(images, "has_image", lambda _, name: name == KAFKA.built)
    monkeypatch.setattr(images, "build_images", built.append)
    with pytest.raises(ImageError, match=rf"{POSTGRES.official} is not here"):
        find_images({})
    assert built == []
    found = find_images({}, build=True)
    assert (found.kafka.name, found.postgres.name) == (KAFKA.built, POSTGRES.built)
    assert built == [POSTGRES.name]


def test_kafka_settings_become_variables() -> None:
    """A container gets every setting of the embedded broker, by the names that its image reads."""
    assert kafka_variables({"a.b-c_d": "1"}) == {"KAFKA_A_B___C__D": "1"}
    settings = node_settings(Path("/logs"), 1, 2, listen="")
    variables = kafka_variables(settings)
    assert len(variables) == len(settings)
    assert variables["KAFKA_LISTENERS"] == "PLAINTEXT://:1,CONTROLLER://127.0.0.1:2"
    assert variables["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
