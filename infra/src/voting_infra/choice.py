"""Which kind of stack tests run on."""

from collections.abc import Mapping
from typing import get_args

import attrs

from voting_infra.exceptions import StackError
from voting_infra.images import StackImages, find_images
from voting_infra.stack import StackKind

VARIABLE = "VOTING_TEST_STACK"


@attrs.frozen
class StackChoice:
    """A kind of stack, and why.

    Attributes:
        kind: For `open_stack`.
        images: What containers run; None for other kinds.
        why: The reason in one line, or what is run.
    """

    kind: StackKind
    images: StackImages | None
    why: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.why}"


def choose_stack(environ: Mapping[str, str]) -> StackChoice:
    """Choose containers where there can be any, unless the environment decides.

    A forced kind is never replaced by the other one. Images are built only if containers are
    forced; otherwise a missing one that cannot be pulled decides against them.

    Args:
        environ: Where `VOTING_TEST_STACK` is looked up, and what names the images.

    Raises:
        StackError: The environment names no kind, or containers that cannot be had.
    """
    forced = environ.get(VARIABLE) or None
    if forced not in (None, *get_args(StackKind)):
        raise StackError(f"{VARIABLE}={forced}: there is {' and '.join(get_args(StackKind))}")
    if forced == "embedded":
        return StackChoice("embedded", None, f"{VARIABLE} is set to it")
    try:
        images = find_images(environ, build=forced is not None)
    except StackError as error:
        if forced:
            raise StackError(f"{VARIABLE}={forced}: {error}") from error
        return StackChoice("embedded", None, str(error))
    return StackChoice("containers", images, str(images))
