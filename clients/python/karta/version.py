"""The version of this package: a test holds it equal to the server's."""

__version__ = "0.1.0"
