"""Print the contract as JSON Schema: docs/reference/messages.json."""

import json

from workers.app import app
from workers.commands.rules import schemas

app.loader.import_default_modules()
print(json.dumps(schemas(), indent=2))
