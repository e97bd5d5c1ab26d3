"""The API's reference, OpenAPI 3.1, made from the code.

`python -m workers.http.reference` writes it into docs/reference.
"""

import json
from pathlib import Path

from workers.http.routes import api

PATH = Path("docs/reference/openapi.json")


def openapi() -> str:
    """Return what the API offers."""
    return json.dumps(api.openapi(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    PATH.write_text(openapi())
