"""Builds the images that a stack and the services run as: `python .ci/images [NAME …]`.

Kafka's and PostgreSQL's are for a machine that can pull none. What the tests run and the packages
of the project, whose versions these images have, must be installed.
"""

import argparse
import logging
import signal
import sys

import dotenv
from build import build_image
from debian import resolve_base
from definitions import IMAGES, ROOT

from voting_core.exceptions import JavaError
from voting_infra.engine import open_engine
from voting_infra.exceptions import StackError
from voting_infra.logs import new_log_directory
from voting_infra.supervisor import Supervisor

COMPOSE_VARIABLES = ROOT / "infra" / ".env"
"""What `docker compose -f infra/compose.yaml` reads by itself."""

_log = logging.getLogger("images")


def main() -> None:
    """Build the images that Kafka, PostgreSQL and the services run as, or those that are named."""
    parser = argparse.ArgumentParser(prog="nox -s images --", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(IMAGES))
    parser.add_argument(
        "--no-compose", action="store_true", help="do not name the images in infra/.env"
    )
    options = parser.parse_args()
    names = options.names or list(IMAGES)
    if unknown := [name for name in names if name not in IMAGES]:
        parser.error(f"no image is called {unknown[0]!r}; there is {', '.join(IMAGES)}")
    logging.basicConfig(format="%(message)s", stream=sys.stdout)
    for logger in ("images", "voting_infra"):
        logging.getLogger(logger).setLevel(logging.INFO)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _build(names, for_compose=not options.no_compose)
    except KeyboardInterrupt:
        sys.exit("interrupted")
    except (StackError, JavaError) as error:
        sys.exit(f"images: {error}")


def _build(names: list[str], *, for_compose: bool) -> None:
    with open_engine() as engine, Supervisor(new_log_directory()) as supervisor:
        base = resolve_base(engine, supervisor)
        _log.info("base image: %s", base)
        for name in names:
            image = IMAGES[name]
            _log.info("building %s", image.tag)
            build_image(engine, supervisor, image, base)
            if for_compose and image.variable is not None:
                dotenv.set_key(COMPOSE_VARIABLES, image.variable, image.tag, quote_mode="never")
                _log.info("%s has %s=%s", COMPOSE_VARIABLES, image.variable, image.tag)


if __name__ == "__main__":
    main()
