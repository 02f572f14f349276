"""A web service on synthorg-persistence, to copy as a start."""

from service.app import create_app

__all__ = ["create_app"]
