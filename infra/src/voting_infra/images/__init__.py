"""Images that the stack and the services run as, and building them where none can be pulled.

`python -m voting_infra.images [NAME …]` builds them all, or those named.
"""

from voting_infra.images.base import DEBIAN, resolve_base
from voting_infra.images.build import build_image, find_image, resolve_image
from voting_infra.images.definitions import IMAGES, Image

__all__ = [
    "DEBIAN",
    "IMAGES",
    "Image",
    "build_image",
    "find_image",
    "resolve_base",
    "resolve_image",
]
