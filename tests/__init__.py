"""unit needs nothing; integration and acceptance start real servers; architecture reads the code."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
