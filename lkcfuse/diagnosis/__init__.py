"""Whether this installation and this machine can do what lkcfuse does, check by check."""

from lkcfuse.diagnosis.finding import Finding
from lkcfuse.diagnosis.run import diagnose

__all__ = ["Finding", "diagnose"]
