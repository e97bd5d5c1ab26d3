"""Print the contract as JSON Schema: docs/reference/messages.json."""

import json

from workers.commands.rules.messages import schemas

print(json.dumps(schemas(), indent=2))
