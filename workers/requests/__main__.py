"""Print the contract as JSON Schema: docs/reference/messages.json."""

import json

from workers.requests.rules import schemas

print(json.dumps(schemas(), indent=2))
