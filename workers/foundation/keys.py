"""The Redis keys of the task system itself, on the server of the registry."""

#: String that the API's checks of health write: a server that takes nothing is not well.
HEALTH = "wedops:health"
#: Set: the jobs that there are. Written by beat; read by the watch, `status` and the API.
JOBS = "wedops:jobs"
#: Hash: `open_until` -> until when no wedding is near, epoch seconds, by wedding_day.list_due; job -> when it
#: was done last, by whoever runs it. Read before jobs that drop what is old.
MAINTENANCE = "wedops:maintenance"
#: Hash: counts that an operator asks for by name. Written by whoever counts.
TALLY = "wedops:tally"
#: Sorted set: beat -> when it showed itself last, in epoch seconds. Written by beat; read by the watch and
#: `status`.
BEATS = "wedops:beats"
#: Hash: worker -> when it answered last. Written by the watch; a worker that ends in good order takes itself
#: out.
WORKERS = "wedops:workers"
#: Set: the dependencies whose circuit ever saw a failure.
CIRCUITS = "wedops:circuits"
#: Stream: messages that can't be done as they stand, and why.
DEAD_LETTERS = "wedops:dead_letters"
#: Sorted set: statement without parameters -> ms that it took in all when it was slow; hash: how often that
#: was. Written by every process that uses the database; read by the optimiser.
SLOW_STATEMENTS, SLOW_COUNTS = "wedops:slow_statements", "wedops:slow_statements:counts"
#: Stream: what happened, for people.
EVENT_LOG = "wedops:journal"


def job(name: str) -> str:
    """Return the hash with the record of a job.

    Written by beat and the job's runs; read by the watch and `status`.
    """
    return f"wedops:job:{name}"


def lease(name: str) -> str:
    """Return the string that whoever holds `name` owns."""
    return f"wedops:once:{name}"


def waking(task: str) -> str:
    """Return the string that is there while a message that wakes a task waits."""
    return f"wedops:waking:{task}"


def circuit(dependency: str) -> str:
    """Return what the keys of a dependency's circuit begin with."""
    return f"wedops:{dependency}"


def probe(dependency: str) -> str:
    """Return the string that is there while one process tries a dependency whose circuit is open."""
    return f"{circuit(dependency)}:probe"


def noted(dependency: str, state: str) -> str:
    """Return the string that is there while a circuit's change is in the event log already."""
    return f"{circuit(dependency)}:noted:{state}"
